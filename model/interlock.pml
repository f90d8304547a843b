/* interlock.pml - model of the order-submission interlock ("gatekeeper").
 *
 * What is modelled: arm (one-shot, high-water mark) -> session (epoch = fencing token, lease) ->
 * expired / killed (latched, durable), concurrent order workers (one coroutine per order, with the
 * yield points of an asyncio program), write-ahead journal, reservations, a venue behind an
 * unreliable network (late delivery, loss, lost replies, fills racing cancels), reconciliation,
 * halt sequence (block -> cancel sweep -> resolve -> claim FLAT), crash and restart at every step.
 *
 * Time is abstracted to nondeterministic events (window lapses, lease lapses).  The one timing
 * assumption is explicit: LATE_OVER is true only when no request of ours can still reach the venue
 * (client deadline + venue acceptance window T_late); see NO_TLATE.
 *
 * A "@transition FROM event TO" comment names the row of the code's state table (transitions.py)
 * that the assignment before it models; FROM may list several.  tests/unit/gatekeeper holds both
 * tables against each other.  st = BOOT has none: a restart is modelled as crash, then boot.
 *
 * Every -Dxxx below removes one design rule; each must produce a counterexample, and the plain
 * model must produce none.  `make model` checks both.
 *   NO_RECHECK  no state check between journal and socket write      (kill race)
 *   NO_WAL      bytes on the wire before the journal record
 *   NO_RESERVE  budget is checked but reserved only after the journal yield
 *   REL_AMBIG   a timeout releases the reservation
 *   NO_TLATE    "order not found" is believed at once
 *   NO_FENCE    the intent's epoch is not compared with the session's
 *   NO_HWM      an arm stamp is not compared with the durable high-water mark
 *   NO_DLATCH   the kill latch is kept in memory only
 *   AUTO_REARM  restart resumes the previous LIVE state instead of killing
 *   EARLY_FLAT  FLAT is claimed after one cancel sweep
 *   RESET_ARMS  reset goes straight back to ARMED
 *   NO_DEDUP    a second submission of a known intent is sent again
 * and, for the liveness property only:
 *   NO_RETURN   an outage of the venue never ends     NO_SWEEP  the halt never cancels
 */
#ifndef NO
#define NO 2            /* orders (intent ids) */
#endif
#ifndef CAP
#define CAP 1           /* exposure cap, in orders */
#endif
#ifndef MAXCRASH
#define MAXCRASH 1
#endif
#ifndef NSTAMP
#define NSTAMP 2        /* arm stamps the operator may produce */
#endif

mtype = { BOOT, DISARMED, ARMED, LIVE, EXPIRED, KILLED };

/* ---- gatekeeper, volatile (lost in a crash) ---- */
mtype st = BOOT;
bool  latch   = false;      /* in-memory kill latch, read by every worker */
byte  epoch   = 0;          /* epoch of the running session, 0 = none */
byte  inflres = 0;          /* reservations taken but not yet journaled */
bool  swept   = false;      /* a cancel sweep ran since the halt began */
bool  flat    = false;      /* the gatekeeper's public claim */
byte  inc     = 0;          /* process incarnation: a crash kills every worker */

/* ---- gatekeeper, durable (journal) ---- */
bool  d_latch = false;
byte  d_epoch = 0;
byte  d_hwm   = 0;
byte  d_ord[NO];            /* 0 none, 1 SENT/unknown, 2 OPEN, 3 FILLED, 4 CLOSED */
mtype d_st    = DISARMED;   /* LIVE between OPEN and the end of the session: a crash then is unclean */

/* ---- engine ---- */
byte  tag[NO];              /* epoch in which the intent was created, 0 = none */
byte  posts[NO];            /* times posted (the engine may re-post after losing the reply) */

/* ---- network and venue: the truth ---- */
byte  wire[NO];             /* copies of the request still travelling */
byte  ven[NO];              /* 0 unseen, 1 open, 2 filled, 3 cancelled, 4 rejected */
bool  reach = true;         /* venue reachable */

/* ---- ghosts ---- */
byte  sends[NO];            /* socket writes per order */
byte  uses[NSTAMP+1];       /* times a stamp led to ARMED */
bool  g_fresh = false;      /* an operator armed since boot/reset/session end */
bool  g_killack = false;    /* a kill was acknowledged and not yet reset */
byte  crashes = 0;
bool  engdone = false;

#define EXPO(o)  (wire[o] > 0 || ven[o] == 1 || ven[o] == 2)
#define RSV(o)   (d_ord[o] == 1 || d_ord[o] == 2 || d_ord[o] == 3)
#define LATE_OVER(o) (wire[o] == 0)

#define HALTED  (st == EXPIRED || st == KILLED || st == DISARMED)
#define PEND(o) (d_ord[o] == 1 || d_ord[o] == 2)
#ifdef NO_TLATE
#define GONE(o) (ven[o] == 0)
#else   /* "not found" counts only when nothing of ours can still arrive and no worker is about to send */
#define GONE(o) (ven[o] == 0 && LATE_OVER(o) && (sends[o] > 0 || (st != LIVE && inflres == 0)))
#endif
#define CANRES(o) (PEND(o) && (ven[o] >= 2 || (ven[o] == 1 && (d_ord[o] == 1 || (swept && HALTED))) || GONE(o)))
#ifdef EARLY_FLAT
#define ALLTERM true
#elif NO == 1
#define ALLTERM (inflres == 0 && !PEND(0))
#elif NO == 2
#define ALLTERM (inflres == 0 && !PEND(0) && !PEND(1))
#else
#define ALLTERM (inflres == 0 && !PEND(0) && !PEND(1) && !PEND(2))
#endif

inline RESOLVE(q) {
  if
  :: ven[q] == 1 -> d_ord[q] = 2; if :: HALTED -> swept = false; flat = false :: else fi  /* sweep again */
  :: ven[q] == 2 -> d_ord[q] = 3
  :: else -> d_ord[q] = 4
  fi
}

inline count_reserved(n) {
  n = inflres; k = 0;
  do :: k < NO -> if :: RSV(k) -> n++ :: else fi; k++ :: else -> break od; k = 0
}

inline check_exposure() {           /* I1: true exposure never exceeds the cap */
  d_step {
    n = 0; k = 0;
    do :: k < NO -> if :: EXPO(k) -> n++ :: else fi; k++ :: else -> break od;
    assert(n <= CAP); n = 0; k = 0
  }
}

/* ---- one order worker: decide+reserve | yield | journal | yield | recheck+send | reply or timeout ---- */
proctype Worker(byte o) {
  byte n = 0, k = 0, my = 0;
w0:
  atomic {                                    /* decide + reserve */
    (posts[o] > 0 && st != BOOT);
    my = inc; posts[o]--;
#ifndef NO_DEDUP
    if :: d_ord[o] != 0 -> goto w0            /* known intent: return the stored outcome */
       :: else fi;
#endif
    count_reserved(n);
    if
    :: (st == LIVE && !latch && n < CAP
#ifndef NO_FENCE
        && tag[o] == epoch
#endif
       ) ->
#ifndef NO_RESERVE
          inflres++;
#endif
          n = 0
    :: else -> n = 0; goto w0                 /* deny */
    fi
  }
#ifdef NO_WAL
  atomic { if :: inc != my -> goto w0 :: else fi;
           if :: (st != LIVE || latch) -> inflres--; goto w0 :: else fi;
           wire[o]++; sends[o]++; assert(sends[o] <= 1); assert(g_fresh); check_exposure() }
#endif
  atomic {                                    /* journal SENT, fdatasync done (a yield lies before) */
    if :: inc != my -> goto w0 :: else fi;
    if :: d_ord[o] == 0 -> d_ord[o] = 1
       :: else fi;
#ifndef NO_RESERVE
    inflres--
#endif
  }
#ifndef NO_WAL
  atomic {                                    /* recheck and socket write, no yield between them */
    if :: inc != my -> goto w0 :: else fi;
#ifndef NO_RECHECK
    if :: (st != LIVE || latch
#ifndef NO_FENCE
           || tag[o] != epoch
#endif
          ) -> d_ord[o] = 4; goto w0          /* aborted before the wire: journal CLOSED */
       :: else fi;
#endif
    assert(!latch && st == LIVE);             /* I2: nothing leaves unless LIVE and unlatched */
    assert(tag[o] == epoch);                  /* I3: fencing */
    assert(g_fresh);                          /* I4: a human armed since boot/reset/session end */
    assert(!g_killack);                       /* I5: an acknowledged kill holds until reset */
    assert(d_ord[o] != 0);                    /* I6: write-ahead */
    wire[o]++; sends[o]++;
    assert(sends[o] <= 1);                    /* I7: at most once */
    check_exposure()
  }
#endif
  if                                          /* reply, or timeout */
  :: atomic { (inc == my && ven[o] != 0 && reach) ->
       if :: ven[o] == 1 -> d_ord[o] = 2 :: ven[o] == 2 -> d_ord[o] = 3
          :: else -> d_ord[o] = 4 fi }
  :: atomic { (inc == my) ->
#ifdef REL_AMBIG
       d_ord[o] = 4
#else
       skip                                   /* stays SENT: reserved until reconciled */
#endif
     }
  :: atomic { (inc != my) -> skip }
  fi;
  my = 0; goto w0
}

/* kill: the latch in memory first; DURABLE_KILL follows, and a crash may fall between them */
inline KILL() {
  latch = true; epoch = 0; g_fresh = false; swept = false; flat = false;
  st = KILLED   /* @transition DISARMED,ARMED,LIVE,EXPIRED,KILLED kill KILLED */
                /* @transition LIVE lease_lapses KILLED */
                /* @transition LIVE restart KILLED */
}

/* the record is on the disk: only now is the kill acknowledged */
inline DURABLE_KILL() {
#ifndef NO_DLATCH
  d_latch = true;
#endif
  g_killack = true; d_st = DISARMED
}

/* ---- gatekeeper control: boot, lease, halt, reconcile ---- */
proctype Ctl() {
  byte k = 0, o = 0;
end:
  do
  /* boot: read the journal, never resume */
  :: atomic { st == BOOT ->
       latch = d_latch; epoch = 0; flat = false; swept = false;
#ifdef AUTO_REARM
       if :: d_latch -> st = KILLED
          :: !d_latch && d_st == LIVE -> st = LIVE; epoch = d_epoch
          :: else -> st = DISARMED fi
#else
       if
       :: d_latch ->
            st = KILLED     /* @transition KILLED restart KILLED */
       :: !d_latch && d_st == LIVE ->     /* an unclean end is a kill, durable before anything else */
            KILL(); DURABLE_KILL()
       :: else ->
            st = DISARMED   /* @transition DISARMED,ARMED,EXPIRED restart DISARMED */
       fi
#endif
     }
  /* arm window lapses unused, or the operator takes the arm back */
  :: atomic { st == ARMED -> g_fresh = false; d_st = DISARMED;
       st = DISARMED        /* @transition ARMED window_lapses DISARMED */
                            /* @transition ARMED disarm DISARMED */
     }
  /* engine opens the session: new epoch, journaled first */
  :: atomic { st == ARMED && !latch && d_epoch < 3 ->
       d_epoch++; epoch = d_epoch; d_st = LIVE; flat = false; swept = false;
       st = LIVE            /* @transition ARMED open LIVE */
     }
  /* hard deadline, engine closes, or operator disarms */
  :: atomic { st == LIVE -> epoch = 0; g_fresh = false; d_st = DISARMED; swept = false; flat = false;
       st = EXPIRED         /* @transition LIVE hard_deadline EXPIRED */
                            /* @transition LIVE close EXPIRED */
                            /* @transition LIVE disarm EXPIRED */
     }
  /* lease lapses: the engine may be gone with orders in flight */
  :: atomic { st == LIVE -> KILL() }
  /* a kill's record reaches the disk */
  :: atomic { latch && !g_killack -> DURABLE_KILL() }
  /* halt: cancel sweep on the venue; an unreachable venue keeps the halt open, never ends it */
#ifdef NO_SWEEP
  :: atomic { HALTED && reach && !flat && !swept && st == BOOT ->
#else
  :: atomic { HALTED && reach && !flat && !swept ->
#endif
       k = 0; do :: k < NO -> if :: ven[k] == 1 -> ven[k] = 3 :: else fi; k++ :: else -> break od;
       k = 0; swept = true }
  /* reconcile one order by client id (any order that can be resolved now) */
  :: atomic { st != BOOT && reach && CANRES(0) -> o = 0; RESOLVE(o); o = 0 }
#if NO > 1
  :: atomic { st != BOOT && reach && CANRES(1) -> o = 1; RESOLVE(o); o = 0 }
#endif
#if NO > 2
  :: atomic { st != BOOT && reach && CANRES(2) -> o = 2; RESOLVE(o); o = 0 }
#endif
  /* claim FLAT: a sweep ran, every journaled order is terminal, no reservation is held in memory */
  :: atomic { HALTED && !flat && swept && reach && ALLTERM ->
       flat = true;
       k = 0; do :: k < NO -> assert(wire[k] == 0 && ven[k] != 1); k++ :: else -> break od;  /* I8 */
       k = 0 }
  /* after a normal end and a truthful FLAT, the session closes */
  :: atomic { st == EXPIRED && flat ->
       st = DISARMED        /* @transition EXPIRED flat DISARMED */
     }
  od
}

/* ---- operator: arm with stamp s (any stamp, also a used one), kill, reset ---- */
proctype Operator() {
  byte s = 0, kills = 0, arms = 0, resets = 0;
end:
  do
  :: atomic { st == DISARMED && !latch && arms < 3 && flat ->
       if :: s = 1 :: s = 2 fi; arms++;
       if
#ifdef NO_HWM
       :: true ->
#else
       :: s <= d_hwm -> skip
       :: s > d_hwm ->
#endif
            d_hwm = s; uses[s]++; g_fresh = true;
            st = ARMED      /* @transition DISARMED arm ARMED */
       fi;
       assert(uses[1] <= 1 && uses[2] <= 1);  /* I9: a stamp arms at most once, ever */
       s = 0 }
  :: atomic { kills < 2 && st != BOOT -> kills++; KILL() }
  :: atomic { st == KILLED && flat && g_killack && resets < 1 ->
       latch = false; d_latch = false; g_killack = false; resets++;
#ifdef RESET_ARMS
       st = ARMED
#else
       st = DISARMED        /* @transition KILLED reset DISARMED */
#endif
     }
  od
}

/* ---- engine: creates intents in the session it believes in; may re-post; they may arrive late ---- */
proctype Engine() {
  byte o = 0;
  do
  :: atomic { o < NO && st == LIVE -> tag[o] = epoch; posts[o] = 1;
       if :: posts[o] = 2 :: skip fi; o++ }
  :: o == NO -> break
  od;
  engdone = true
}

/* ---- network and venue ---- */
proctype Venue() {
  byte k = 0, n = 0, o = 0;
end:
  do
  :: atomic { wire[0] > 0 -> o = 0; goto dlv }
  :: atomic { NO > 1 && wire[1 % NO] > 0 -> o = 1 % NO; goto dlv }
  :: atomic { NO > 2 && wire[2 % NO] > 0 -> o = 2 % NO; goto dlv }
  :: atomic { ven[0] == 1 -> ven[0] = 2 }               /* fills race with cancels */
  :: atomic { NO > 1 && ven[1 % NO] == 1 -> ven[1 % NO] = 2 }
  :: atomic { NO > 2 && ven[2 % NO] == 1 -> ven[2 % NO] = 2 }
  od;
dlv:
  atomic {
    wire[o]--;
    if
    :: ven[o] == 0 -> ven[o] = 1;
         assert(d_ord[o] != 0)                          /* I6 again, seen from the venue */
    :: ven[o] == 0 -> ven[o] = 4
    :: skip                                             /* lost */
    fi;
    check_exposure(); o = 0;
    goto end
  }
}

/* ---- faults: crash of the gatekeeper; the venue goes away and comes back ---- */
proctype Faults() {
  byte outages = 0;
end:
  do
  :: atomic { crashes < MAXCRASH -> crashes++; inc++;
       st = BOOT; latch = false; epoch = 0; inflres = 0; swept = false; flat = false; g_fresh = false }
  :: atomic { outages < 1 && reach -> outages++; reach = false }
#ifndef NO_RETURN
  :: atomic { !reach -> reach = true }
#endif
  od
}

init {
  atomic {
    byte i = 0;
    run Ctl(); run Operator(); run Engine(); run Venue(); run Faults();
    do :: i < NO -> run Worker(i); i++ :: else -> break od
  }
}

/* liveness: a kill is followed by a truthful FLAT unless it is reset by then or the process crashed
 * before the kill was durable; fairness and a reachable venue are assumed (run with -a -f) */
#ifdef LIVENESS
ltl kill_leads_to_flat { [] ( g_killack -> <> ( flat || !g_killack ) ) }
#endif
