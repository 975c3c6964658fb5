package client

import "time"

// MakeToken asks for an API token.
type MakeToken struct {
	Asked
	Name string `json:"name" pattern:"^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}$"`
	Role string `json:"role" enum:"viewer,tester,operator,admin"`
}

// Token is an API token as it is listed.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	LastUse time.Time `json:"lastUse,omitzero"`
}

// MadeToken is a new token with its secret, which is shown once.
type MadeToken struct {
	Token
	Secret string `json:"secret"`
}

// Whoami is who the server takes the caller for.
type Whoami struct {
	Name string `json:"name"`
	Role string `json:"role"`
	Via  string `json:"via" enum:"socket,token,link"`
}

// MakeLogin asks for a link that logs somebody in to the dashboard, once.
type MakeLogin struct {
	Asked
	Name string `json:"name,omitempty" pattern:"^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}$" doc:"Who it is for, and who stands in events; who asks when empty"`
	Role string `json:"role,omitempty" enum:"viewer,tester,operator,admin" doc:"admin when empty"`
}

// MadeLogin is a login link. It is shown once.
type MadeLogin struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires" doc:"It works once, and until then"`
}
