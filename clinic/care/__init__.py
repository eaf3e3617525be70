"""What follows an assessment: the released summary, options, the care plan with its dates, referrals."""
