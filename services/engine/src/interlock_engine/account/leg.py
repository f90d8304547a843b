"""The names of a round trip's two legs."""

LEG_UPBIT = "a"
LEG_BINANCE = "b"
LEGS = (LEG_UPBIT, LEG_BINANCE)
