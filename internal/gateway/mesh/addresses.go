package mesh

import (
	"maps"
	"net"
	"strconv"
	"strings"
)

// Addresses are where one version's calls go. They are kept with the state for
// as long as its processes live.
type Addresses struct {
	Host       string         `json:"host"`
	Ports      map[string]int `json:"ports"`      // by callee
	StatusPort int            `json:"statusPort"` // 0: no status is served
}

func (a Addresses) clone() Addresses {
	a.Ports = maps.Clone(a.Ports)
	return a
}

// Env returns the environment that tells a process these addresses, and the
// header that carries the stamp.
func (a Addresses) Env(stampHeader string) map[string]string {
	env := make(map[string]string, 3*len(a.Ports)+2)
	for callee, port := range a.Ports {
		name := strings.ReplaceAll(strings.ToUpper(callee), "-", "_")
		env[name+"_SERVICE_HOST"] = a.Host
		env[name+"_SERVICE_PORT"] = strconv.Itoa(port)
		env["GREENROOM_URL_"+name] = "http://" + a.at(port)
	}
	if a.StatusPort != 0 {
		env["GREENROOM_STATUS_URL"] = "http://" + a.at(a.StatusPort)
	}
	env["GREENROOM_STAMP_HEADER"] = stampHeader
	return env
}

func (a Addresses) at(port int) string { return net.JoinHostPort(a.Host, strconv.Itoa(port)) }
