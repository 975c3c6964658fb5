package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Preflight looks at what would keep a greenroom from starting with that state
// folder and fleet: the folder, ports that are taken, limits. f is nil when
// there is no document that is right. It changes nothing.
func Preflight(state string, f *fleet.Fleet) []client.Finding {
	out := []client.Finding{examineState(state)}
	if len(SocketPath(state)) > longestSocketPath {
		out = append(out, client.Finding{Check: "state", Level: levelProblem, Subject: state,
			Message: fmt.Sprintf("the socket in it would have a longer path than sockets may have (%d bytes)", longestSocketPath),
			Remedy:  "name a folder with a shorter path with --state"})
	}
	if f != nil {
		out = append(out, examinePorts(*f)...)
	}
	return append(out, examineLimits()...)
}

// examineState looks whether the state folder, or the nearest one above it
// that there is, can be written to.
func examineState(state string) client.Finding {
	there := state
	for {
		info, err := os.Stat(there)
		if err == nil && !info.IsDir() {
			return client.Finding{Check: "state", Level: levelProblem, Subject: state, Message: there + " is no folder", Remedy: "name another with --state"}
		}
		if err == nil {
			break
		}
		there = filepath.Dir(there)
	}
	probe, err := os.CreateTemp(there, ".greenroom-doctor-*")
	if err != nil {
		return client.Finding{Check: "state", Level: levelProblem, Subject: state,
			Message: fmt.Sprintf("greenroom could not keep its state there: %v", err),
			Remedy:  "make the folder writable for you, or name another with --state or GREENROOM_STATE"}
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name()) // an empty file, told by its name
	return client.Finding{Check: "state", Level: levelOK, Subject: state, Message: "the state can be kept there"}
}

// examinePorts looks whether what greenroom would listen at is free.
func examinePorts(f fleet.Fleet) []client.Finding {
	type wanted struct{ field, addr string }
	all := []wanted{{"spec.edge.listen", f.Edge.Listen}, {"spec.api.listen", f.API.Listen}}
	if f.Edge.TLS != nil {
		all = append(all, wanted{"spec.edge.tls.listen", f.Edge.TLS.Listen})
	}
	var out []client.Finding
	for _, w := range all {
		if w.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", w.addr)
		if err != nil {
			out = append(out, client.Finding{Check: "port", Level: levelProblem, Subject: w.addr,
				Message: fmt.Sprintf("greenroom could not listen there: %v", err),
				Remedy:  "end what listens there (ss -ltnp shows it), or set another address under " + w.field})
			continue
		}
		_ = l.Close()
		out = append(out, client.Finding{Check: "port", Level: levelOK, Subject: w.addr, Message: "is free"})
	}
	return out
}
