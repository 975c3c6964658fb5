// Package boot turns a service's environment into what it starts with: where to
// listen, whom to call, where to keep data; and it serves until it is told to
// stop.
//
// It owns the names of the environment's variables and the graceful end. It
// knows no service and imports nothing of greenroom: these are the variables
// that greenroom sets for any program. Start at Process.
package boot

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

// Process is one running version of one service.
type Process struct {
	Service string // such as "gift"
	Version string // "v1" or "v2"
	Getenv  func(string) string
	Log     *slog.Logger
}

// Hop is the process's mark in a trail.
func (p Process) Hop() trail.Hop { return trail.Hop{Service: p.Service, Version: p.Version} }

// Second reports whether this is the second version of the service.
func (p Process) Second() bool { return p.Version == "v2" }

// Contract is the language between gift and wallet that this version speaks: 1
// or 2.
func (p Process) Contract() int32 {
	if p.Second() {
		return 2
	}
	return 1
}

// Callee returns the base URL under which another service is called, without a
// slash at its end: greenroom's GREENROOM_URL_<SERVICE>, or <SERVICE>_SERVICE_HOST
// and _PORT as Kubernetes has them.
func (p Process) Callee(service string) (string, error) {
	name := strings.ToUpper(service)
	if url := p.Getenv("GREENROOM_URL_" + name); url != "" {
		return strings.TrimRight(url, "/"), nil
	}
	host, port := p.Getenv(name+"_SERVICE_HOST"), p.Getenv(name+"_SERVICE_PORT")
	if host == "" || port == "" {
		return "", fmt.Errorf("%s calls %s and finds no address: set GREENROOM_URL_%s, or %s_SERVICE_HOST and %s_SERVICE_PORT",
			p.Service, service, name, name, name)
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// Environ returns greenroom's variables as "key=value", for libraries that read
// an environment.
func (p Process) Environ() []string {
	keys := []string{"GREENROOM_STATUS_URL", "GREENROOM_INSTANCE", "GREENROOM_STAMP_HEADER"}
	for _, service := range []string{"WEB", "API", "CHAT", "GIFT", "WALLET", "WORKER"} {
		keys = append(keys, "GREENROOM_URL_"+service, service+"_SERVICE_HOST", service+"_SERVICE_PORT")
	}
	var environ []string
	for _, key := range keys {
		if v := p.Getenv(key); v != "" {
			environ = append(environ, key+"="+v)
		}
	}
	return environ
}

// DataFile returns the path of a file below LIVE_DATA, the folder that all
// versions of all services share, as they would a database; it makes the folder
// that the file is in. By default it is a folder of this user's among the
// temporary files.
func (p Process) DataFile(name string) (string, error) {
	dir := p.Getenv("LIVE_DATA")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "greenroom-live-"+strconv.Itoa(os.Getuid()))
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making the folder for data, LIVE_DATA names another: %w", err)
	}
	return path, nil
}

// Client returns an HTTP client for calls within the fleet. A service calls few
// hosts and those often, so it keeps more connections than net/http would.
func (p Process) Client(wrap func(http.RoundTripper) http.RoundTripper) *http.Client {
	return &http.Client{Transport: wrap(&http.Transport{
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true, // answers are small, and so is the distance
	})}
}
