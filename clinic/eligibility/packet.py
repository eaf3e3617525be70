"""What a prior-authorization packet says. Pure: stored facts in; statements with their evidence, and holes, out.

A statement is made only from facts that are on record. What a payer asks for and nobody has recorded is a hole: it is
named, with what would fill it and who; it is never guessed and never worded as a statement.
"""

from clinic.eligibility import packet_criteria, packet_head, packet_history, packet_letter
from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_maker import Maker, treatment_of
from clinic.eligibility.packet_parts import (
    Facts,
    Packet,
)

POLICY_WARNINGS = {
    "off": "Nobody at this clinic has verified our file of this policy against the payer's own text.",
    "stale": "Our file of this policy was verified more than 180 days ago.",
    "changed": "Our file of this policy changed after it was verified.",
}


def build(facts: Facts) -> Packet:
    """The packet of these facts. The same facts give the same packet."""
    made = Maker(facts)
    header, request = packet_head.header(made), packet_head.request(made)
    diagnosis, trials = packet_head.diagnosis(made), packet_history.trials(made)
    therapy, scores, safety = (
        packet_history.psychotherapy(made),
        packet_history.scores(made),
        packet_history.safety(made),
    )
    criteria = packet_criteria.criteria(made)
    attachments = packet_history.attachments(made)
    return Packet(
        treatment=words.TREATMENTS[treatment_of(facts.policy)],
        payer=str(facts.policy["payer"]),
        policy={
            "id": facts.policy["id"],
            "version": str(facts.policy["version"]),
            "number": str(facts.policy.get("policy_number") or ""),
            "effective": str(facts.policy.get("effective_date") or ""),
            "confidence": str(facts.policy.get("confidence") or ""),
            "state": facts.policy_state,
        },
        header=header,
        request=request,
        diagnosis=diagnosis,
        trials=trials,
        psychotherapy=therapy,
        scores=scores,
        safety=safety,
        criteria=criteria,
        letter=packet_letter.letter(made, criteria),
        own_words=facts.own_words,
        attachments=attachments,
        evidence=tuple(made.statements),
        holes=tuple(made.holes.values()),
        warnings=() if facts.policy_state == "on" else (POLICY_WARNINGS[facts.policy_state],),
        advice=tuple(packet_letter.advice(made)),
    )
