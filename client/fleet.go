package client

// FleetApply compares a Fleet document with what runs and applies what may
// change while it runs.
type FleetApply struct {
	Asked
	Document Document `json:"document"`
	Adopt    bool     `json:"adopt,omitempty" doc:"Release changed versions, to go live at once"`
}

// FleetChange is what a Fleet document changes.
type FleetChange struct {
	Changed  bool            `json:"changed"`
	Applied  []string        `json:"applied" doc:"What changes while it runs, a sentence each"`
	Versions []ReleaseChange `json:"versions" doc:"Changed versions of known services, which need a release"`
	Behind   []string        `json:"behind" doc:"Services whose version in the file is older than what a release brought"`
	Release  string          `json:"release,omitempty" doc:"The release that adopts changed versions"`
	Message  string          `json:"message"`
}

// Fleet is the fleet as last applied.
type Fleet struct {
	Name     string  `json:"name"`
	Document string  `json:"document" doc:"A Fleet document that would start what serves now"`
	Routes   []Route `json:"routes" doc:"The first that fits a request takes it"`
	Serving  Serving `json:"serving"`
}

// Route says which requests a service gets.
type Route struct {
	Host    string   `json:"host,omitempty" doc:"Exact, or *.suffix; any when empty"`
	Path    string   `json:"path,omitempty" doc:"Prefix by whole segments; any when empty"`
	Methods []string `json:"methods,omitempty" doc:"Any when empty"`
	Service string   `json:"service"`
}

// Document is a file as somebody wrote it, with the folder that its relative
// paths are relative to; or a Release of that name, of versions that were set on
// a command line.
type Document struct {
	Name string   `json:"name" doc:"File name, for errors; with sets the release's name"`
	Dir  string   `json:"dir" doc:"Absolute folder on the server's machine; of a Release, empty: that of the Fleet's document"`
	Data string   `json:"data" doc:"The YAML text; empty with sets" maxLength:"1048576"`
	Sets []string `json:"sets,omitempty" doc:"SERVICE=COMMAND or SERVICE=HOST:PORT each, on Kubernetes SERVICE=IMAGE, instead of a text" maxItems:"1000"`
}
