package figures

const (
	PlanCounts   = planCounts
	FewFunctions = fewFunctions
)

var (
	CountDay        = countDay
	CountHours      = countHours
	CountErrorCodes = countErrorCodes
)
