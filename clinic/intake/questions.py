"""The words of the yes or no questions of the safety screens: question, and a hint where one helps."""

from typing import Any

from flask_babel import lazy_gettext as _

QUESTIONS: dict[str, tuple[Any, Any]] = {
    "metal_in_head": (
        _("Any metal in your head, eye, neck or upper chest?"),
        _("Clips, plates, coils, stents, wires, bits of metal. Not fillings or braces."),
    ),
    "cochlear_implant": (_("A cochlear implant?"), _("A hearing device under the skin.")),
    "pacemaker_or_icd": (
        _("A pacemaker, a defibrillator, or wires in the heart?"),
        _("Worn ones count too."),
    ),
    "vns_or_dbs": (_("An implanted nerve or brain stimulator?"), _("Like DBS, VNS, or one in the spine.")),
    "aneurysm_clip_coil": (
        _("A clip, coil or stent for a brain aneurysm?"),
        _("A weak spot in a blood vessel."),
    ),
    "infusion_pump": (
        _("A medicine pump, or a shunt with a magnetic valve?"),
        _("In the body or worn. Insulin pumps count."),
    ),
    "scalp_tattoo_piercing": (
        _("Metal piercings, hair implants, a face tattoo, or make-up in the skin?"),
        "",
    ),
    "prior_mri_problem": (_("Ever a problem in an MRI, or told you cannot have one?"), ""),
    "seizure_history": (_("Ever a seizure, or epilepsy?"), ""),
    "stroke_or_brain_lesion": (
        _("Ever a stroke, brain tumor, brain surgery, or brain disease?"),
        _("Like memory loss, MS, or high pressure in the head."),
    ),
    "head_injury": (_("Ever a head injury that knocked you out, or a concussion?"), ""),
    "family_epilepsy": (_("Epilepsy in a parent, brother, sister or child?"), ""),
    "fainting": (_("Ever fainted?"), ""),
    "hearing_tinnitus": (_("Hearing loss or ringing in the ears?"), ""),
    "eating_disorder": (_("Bulimia or anorexia, now or before?"), ""),
    "prior_tms": (_("Ever had TMS?"), _("If there was a problem, tell us below.")),
    "alcohol": (_("Cut down sharply on alcohol of late, or shakes or sweats without it?"), ""),
    "stimulants_drugs": (
        _("Cocaine, speed or other drugs in the last 30 days?"),
        "",
    ),
    "benzodiazepine_change": (
        _("Did you stop or change a calming or sleeping pill in the last 2 weeks?"),
        _("Like Xanax, Ativan, Klonopin, Ambien or gabapentin."),
    ),
    "current_substance_use": (_("Is alcohol or a drug a problem now?"), ""),
    "substance_use": (_("Was alcohol or a drug ever a problem?"), ""),
    "psychosis_now": (_("Hearing voices or fixed frightening beliefs now?"), ""),
    "psychosis_history": (_("Ever heard voices, or had fixed frightening beliefs?"), ""),
    "mania_now": (_("Very high mood, little sleep and racing thoughts now?"), ""),
    "bipolar_mania": (_("Ever a week of very high mood, little sleep, racing thoughts?"), ""),
    "aneurysmal_disease": (
        _("Ever an aneurysm?"),
        _("A weak, wide spot in a blood vessel, anywhere in the body."),
    ),
    "avm": (_("Ever an AVM?"), _("A tangle of blood vessels.")),
    "intracerebral_haemorrhage": (_("Ever bleeding in the brain?"), ""),
    "hypersensitivity": (_("Allergic to ketamine or esketamine?"), ""),
    "hypertensive_or_cv_disease": (
        _("Heart disease, or high blood pressure that is hard to control?"),
        _("A recent heart attack or stroke counts."),
    ),
    "respiratory": (_("Sleep apnea or COPD, or opioid pain pills?"), ""),
    "cns_depressants": (
        _("Opioids, calming pills or sleeping pills?"),
        _("Or alcohol on most days."),
    ),
    "stimulants_maoi": (
        _("A stimulant or an MAOI?"),
        _("Like Adderall or Ritalin. Like Nardil or Parnate."),
    ),
    "nasal": (_("Nose often blocked, or a nose spray?"), ""),
    "bladder": (_("Pain or burning in the bladder?"), ""),
    "raised_intraocular_pressure_or_thyrotoxicosis": (
        _("High pressure in the eye, or an overactive thyroid?"),
        "",
    ),
    "pregnant": (_("Are you or could you be pregnant?"), ""),
    "breastfeeding": (_("Are you breastfeeding?"), ""),
}
