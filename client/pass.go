package client

import "time"

// MintPass asks for a pass, for a release or for whatever serves.
type MintPass struct {
	Asked
	Release string `json:"release,omitempty" doc:"Not with live"`
	Live    bool   `json:"live,omitempty" doc:"For whatever serves, promotions included: its holder goes through a hold, and is shown which release answers"`
	For     string `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 30 d; 2h when empty"`
	Subject string `json:"subject,omitempty" doc:"Whom it is for, shown in the list; who asks when empty" maxLength:"200"`
	// Paths limits it.
	Paths []string `json:"paths,omitempty" maxItems:"10" doc:"Begins of paths by whole segments, such as /shop: below them its holder sees the release, elsewhere what everybody gets; everywhere when empty"`
}

// MintCallback asks for a callback address: one that an outside system, such as
// a login provider, can call, and that leads to a release.
type MintCallback struct {
	Asked
	Release string   `json:"release"`
	Paths   []string `json:"paths" minItems:"1" maxItems:"10" doc:"Begins of paths by whole segments that may be called, such as /oauth/callback"`
	Methods []string `json:"methods,omitempty" maxItems:"10" doc:"HTTP methods that may be used, in capitals; GET and POST when empty"`
	For     string   `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 30 d; 1h when empty"`
	Count   int      `json:"count,omitempty" minimum:"0" maximum:"100000" doc:"How many calls it takes; any number when 0"`
	Subject string   `json:"subject,omitempty" doc:"Whom it is for, shown in the list; who asks when empty" maxLength:"200"`
}

// MintedCallback is a new callback address. It is shown once.
type MintedCallback struct {
	Pass
	Base      string   `json:"base" doc:"What the addresses begin with; previews learn it from the header X-Greenroom-Callback-Base"`
	Addresses []string `json:"addresses" doc:"One for each path"`
}

// Pass is a pass, or a callback address, as it is listed; its token is shown
// once, when it is made.
type Pass struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"pass,callback" doc:"Who can use it: people and programs that send it along, or outside systems that call an address"`
	Release   string    `json:"release" doc:"Empty with live"`
	Live      bool      `json:"live,omitempty" doc:"It is for whatever serves"`
	Subject   string    `json:"subject,omitempty"`
	By        string    `json:"by"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revokedBy,omitempty"`
	LastUse   time.Time `json:"lastUse,omitzero"`
	State     string    `json:"state" enum:"valid,expired,revoked,ended,used-up"`
	Paths     []string  `json:"paths,omitempty" doc:"What it is limited to; everywhere when empty"`
	Methods   []string  `json:"methods,omitempty" doc:"Of a callback: those it takes"`
	Count     int       `json:"count,omitempty" doc:"Of a callback: how many calls it takes; any number when 0"`
	Used      int       `json:"used,omitempty" doc:"Of a callback: how many calls it took"`
}

// MintedPass is a new pass with its token.
type MintedPass struct {
	Pass
	Token  string `json:"token"`
	Header string `json:"header" doc:"The header that carries it"`
	Link   string `json:"link" doc:"Opens the preview in a browser"`
}
