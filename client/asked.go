package client

// Asked is what every changing request may say.
type Asked struct {
	Reason string `json:"reason,omitempty" doc:"Why; kept with the event" maxLength:"1000"`
	DryRun bool   `json:"dryRun,omitempty" doc:"Say what would happen, and change nothing"`
}

// Changed is what a changing request did.
type Changed struct {
	Changed bool     `json:"changed" doc:"False: it was so already, or a dry run"`
	Message string   `json:"message" doc:"One sentence for a person"`
	Release *Release `json:"release,omitempty" doc:"As it is, or would be, afterwards"`
	Serving Serving  `json:"serving" doc:"As it is, or would be, afterwards"`
	Notes   []string `json:"notes" doc:"What else a person should know"`
}

// Shutdown asks the server to end.
type Shutdown struct {
	Asked
	LeaveServices bool `json:"leaveServices,omitempty" doc:"Services run on, for the next greenroom to adopt"`
}
