package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
)

// SocketPath is where the API of the greenroom with that state folder listens.
func SocketPath(state string) string { return filepath.Join(state, "greenroom.sock") }

// longestSocketPath is what every supported system takes, in bytes.
const longestSocketPath = 103

// listenSocket opens the API's socket, for its owner alone. One that a killed
// greenroom left is replaced; the lock on the state has shown that nobody else
// uses it.
func listenSocket(path string) (net.Listener, error) {
	if len(path) > longestSocketPath {
		return nil, fmt.Errorf("the socket %s has a longer path than sockets may have (%d bytes); use a --state folder with a shorter one", path, longestSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("replace the socket of a former greenroom: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open the API's socket: %w", err)
	}
	return l, nil
}

// listenAPI opens the API for holders of tokens.
func listenAPI(api fleet.API, log *slog.Logger) (net.Listener, error) {
	l, err := net.Listen("tcp", api.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the API at %s: %w; free the port, or set another address under spec.api", api.Listen, err)
	}
	if api.TLS == nil {
		return l, nil
	}
	certs, err := edge.OpenCertificates(api.TLS.Certificates, log)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, &tls.Config{GetCertificate: certs.Get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// EdgeURL returns where the edge listens, as a URL on this machine.
func (a *App) EdgeURL() string {
	addr, scheme := a.edge.Addr(), "http"
	if addr == nil {
		addr, scheme = a.edge.TLSAddr(), "https"
	}
	return scheme + "://" + onThisMachine(addr)
}

// DashboardURL returns where the dashboard is, as a URL on this machine; "" where
// the API listens at its socket alone.
func (a *App) DashboardURL() string {
	if a.apiTCP == nil {
		return ""
	}
	scheme := "http"
	if a.apiTLS {
		scheme = "https"
	}
	return scheme + "://" + onThisMachine(a.apiTCP.Addr())
}

// onThisMachine is an address at which a listener is reached from here.
func onThisMachine(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
