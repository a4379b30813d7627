"""Faults of a broker at random."""

FAULTS = ("cut_before", "cut_after", "status", "status_after", "latency")


def break_at_random(draw, alpaca, routing, create_broker):
    match draw.randrange(9):
        case 0 | 1 | 2:
            alpaca.faults.add(draw.choice(FAULTS), method=draw.choice(["POST", "DELETE", ""]), status=500)
        case 3:
            alpaca.stream.cut()
        case 4:
            alpaca.faults.stream.duplicates = draw.randrange(4)
        case 5:
            alpaca.faults.stream.swaps = 1
        case 6:
            alpaca.faults.stream.drops = 1
        case 7:  # the broker is down for a while
            alpaca.faults.add("cut_before", times=draw.randrange(1, 12))
            alpaca.faults.stream.refusals = 1
            alpaca.stream.cut()
        case _:  # the OMS dies, and another process goes on
            routing.broker.close()
            routing.broker = create_broker()
            routing.restart()
