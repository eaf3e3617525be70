"""The words of the yes or no questions of the safety screens: question, and a hint where one helps."""

from typing import Any

from flask_babel import lazy_gettext as _

QUESTIONS: dict[str, tuple[Any, Any]] = {
    "metal_in_head": (
        _("Is there any metal in your head, eye, neck or upper chest?"),
        _("Bits of metal, clips, plates, coils, stents, wires. Fillings and braces do not count."),
    ),
    "cochlear_implant": (_("Do you have a cochlear implant?"), _("That is a hearing device under the skin.")),
    "pacemaker_or_icd": (
        _("Do you have a pacemaker, a defibrillator, or wires in the heart?"),
        _("One that you wear counts too."),
    ),
    "vns_or_dbs": (_("Do you have an implanted nerve or brain stimulator?"), _("Like DBS, VNS, or one in the spine.")),
    "aneurysm_clip_coil": (
        _("Do you have a clip, coil or stent for a brain aneurysm?"),
        _("That is a weak spot in a blood vessel."),
    ),
    "infusion_pump": (
        _("Do you have a medicine pump, or a shunt with a magnetic valve?"),
        _("In the body or worn. An insulin pump counts."),
    ),
    "scalp_tattoo_piercing": (
        _("Do you have metal piercings, hair implants, or a face tattoo or make-up in the skin?"),
        "",
    ),
    "prior_mri_problem": (_("Were you ever told you cannot have an MRI, or had a problem in one?"), ""),
    "seizure_history": (_("Have you ever had a seizure or been told you have epilepsy?"), ""),
    "stroke_or_brain_lesion": (
        _("Have you had a stroke, brain tumor, brain surgery, or a disease of the brain?"),
        _("Like memory loss, MS, or high pressure in the head."),
    ),
    "head_injury": (_("Have you had a head injury that knocked you out, or a concussion?"), ""),
    "family_epilepsy": (_("Does a parent, brother, sister or child have epilepsy?"), ""),
    "fainting": (_("Have you ever fainted?"), ""),
    "hearing_tinnitus": (_("Do you have hearing loss or ringing in the ears?"), ""),
    "eating_disorder": (_("Have you had bulimia or anorexia, now or before?"), ""),
    "prior_tms": (_("Have you had TMS before?"), _("If there was a problem, tell us below.")),
    "alcohol": (_("Did you cut down sharply on alcohol of late, or get shakes or sweats without it?"), ""),
    "stimulants_drugs": (
        _("Did you use cocaine, speed or other drugs in the last 30 days?"),
        "",
    ),
    "benzodiazepine_change": (
        _("Did you stop or change a calming or sleeping pill in the last 2 weeks?"),
        _("Like Xanax, Ativan, Klonopin, Ambien or gabapentin."),
    ),
    "current_substance_use": (_("Is alcohol or a drug a problem for you now?"), ""),
    "substance_use": (_("Was alcohol or a drug ever a problem for you?"), ""),
    "psychosis_now": (_("Do you hear voices or have fixed frightening beliefs now?"), ""),
    "psychosis_history": (_("Did you ever hear voices or have fixed frightening beliefs?"), ""),
    "mania_now": (_("Right now, is your mood very high, with little sleep and racing thoughts?"), ""),
    "bipolar_mania": (_("Did you ever have a week of very high mood, little sleep, racing thoughts?"), ""),
    "aneurysmal_disease": (
        _("Were you ever told you have an aneurysm?"),
        _("A weak, wide spot in a blood vessel: in the head, chest, belly, arms or legs."),
    ),
    "avm": (_("Were you ever told you have an AVM?"), _("A tangle of blood vessels.")),
    "intracerebral_haemorrhage": (_("Have you ever had bleeding in the brain?"), ""),
    "hypersensitivity": (_("Are you allergic to ketamine or esketamine?"), ""),
    "hypertensive_or_cv_disease": (
        _("Do you have heart disease, or high blood pressure that is hard to control?"),
        _("A recent heart attack or stroke counts."),
    ),
    "respiratory": (_("Do you have sleep apnea or COPD, or take opioid pain pills?"), ""),
    "cns_depressants": (
        _("Do you take opioids, calming pills or sleeping pills?"),
        _("Or do you drink alcohol most days?"),
    ),
    "stimulants_maoi": (
        _("Do you take a stimulant or an MAOI?"),
        _("Like Adderall or Ritalin. Like Nardil or Parnate."),
    ),
    "nasal": (_("Is your nose often blocked, or do you use a nose spray?"), ""),
    "bladder": (_("Do you have pain or burning in the bladder?"), ""),
    "raised_intraocular_pressure_or_thyrotoxicosis": (
        _("Were you told you have high pressure in the eye, or an overactive thyroid?"),
        "",
    ),
    "pregnant": (_("Are you or could you be pregnant?"), ""),
    "breastfeeding": (_("Are you breastfeeding?"), ""),
}
