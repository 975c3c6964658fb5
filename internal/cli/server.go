package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// where the server is, as the flags say: behind the unix socket of a
// state folder, or at a URL.
type where struct {
	getenv func(string) string
	state  string
	server string
	token  string
	caFile string
}

func (r *where) register(flags *pflag.FlagSet) {
	flags.StringVar(&r.state, "state", r.getenv("GREENROOM_STATE"), "folder of what greenroom keeps (GREENROOM_STATE; default "+filepath.Join("…", "greenroom")+" of the user)")
	flags.StringVar(&r.server, "server", r.getenv("GREENROOM_SERVER"), "URL of a greenroom elsewhere (GREENROOM_SERVER)")
	flags.StringVar(&r.token, "token", "", "API token for --server (GREENROOM_TOKEN)")
	flags.StringVar(&r.caFile, "ca-file", r.getenv("GREENROOM_CA_FILE"), "PEM file of the authority that signed the certificate of --server (GREENROOM_CA_FILE)")
}

// stateFolder is the folder of --state, or the user's own.
func (r *where) stateFolder() (string, error) {
	if r.state != "" {
		return filepath.Abs(r.state)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", command.BadInputf("no folder for the state: %w; name one with --state", err)
	}
	switch {
	case r.getenv("XDG_STATE_HOME") != "":
		return filepath.Join(r.getenv("XDG_STATE_HOME"), "greenroom"), nil
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "greenroom"), nil
	}
	return filepath.Join(home, ".local", "state", "greenroom"), nil
}

// Client returns a client of the server that the flags name. It asks nobody.
func (r *where) Client(context.Context) (*client.Client, error) {
	token := r.token
	if token == "" {
		token = r.getenv("GREENROOM_TOKEN")
	}
	if r.server != "" {
		if token == "" {
			return nil, command.BadInputf("--server needs an API token: --token or GREENROOM_TOKEN (greenroom token create makes one on the server's machine)")
		}
		transport, err := trusting(r.caFile)
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		c, err := client.Remote(r.server, token, transport)
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		return c, nil
	}
	state, err := r.stateFolder()
	if err != nil {
		return nil, err
	}
	return client.Socket(socketPath(state)), nil
}

// Remedy says what to do when no greenroom answers.
func (r *where) Remedy(err error) string {
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		return "name the authority that signed its certificate with --ca-file"
	case errors.Is(err, client.ErrNotGreenroom):
		return "name the address of the API (spec.api.listen), not of the edge"
	case errors.Is(err, client.ErrUnreachable):
		return "start it with greenroom up, or name its --state or --server"
	}
	return ""
}

// trusting is a transport that trusts the authorities in a file besides the
// system's; nil without one.
func trusting(caFile string) (http.RoundTripper, error) {
	if caFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}, nil
}
