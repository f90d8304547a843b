"""Money: spot ledgers and USD-M positions, exact in Decimal."""
