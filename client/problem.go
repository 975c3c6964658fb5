package client

// Error is what the API answers instead of a result: problem+json (RFC 9457)
// with greenroom's own members.
type Error struct {
	Type   string          `json:"type,omitempty"`
	Title  string          `json:"title" doc:"What kind of problem it is"`
	Status int             `json:"status" doc:"The HTTP status"`
	Detail string          `json:"detail,omitempty" doc:"What happened"`
	Code   string          `json:"code" doc:"For programs: input, unauthorized, forbidden, not-found, refused, stale, busy, timeout, failed, stopping"`
	Rule   string          `json:"rule,omitempty" doc:"The rule that refused, with code refused"`
	Remedy string          `json:"remedy,omitempty" doc:"What to do about it"`
	Errors []DocumentError `json:"errors,omitempty" doc:"Each thing that is wrong with a document"`
}

// DocumentError is one thing that is wrong with a document.
type DocumentError struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty" doc:"From 1; 0 when the whole file is meant"`
	Column  int    `json:"column,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}
