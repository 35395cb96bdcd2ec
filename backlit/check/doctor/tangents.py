def tapes(subject, points):
    return []


def causes(case, tapes):
    return []
