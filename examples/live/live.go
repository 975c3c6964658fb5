// Package live is greenroom's demo fleet: a small live-streaming app of six
// services, each in two versions, where the second versions of web, gift, wallet,
// chat and worker belong together and the api stays as it is.
//
//	browser → web → api → gift → wallet        chat, beside them, over WebSocket
//	                        └→ queue → worker
//
// Gift and wallet speak a contract that changed from v1 to v2, so that a request
// which meets both releases fails, loudly. Each service is a package below this
// one, short enough to be read in one go, and shows one way to live under
// greenroom: web, gift and worker with the propagate library, api with
// OpenTelemetry alone, chat and wallet with nothing, since they call nobody.
//
// The package owns the list of services and imports nothing else of greenroom;
// the services do, propagate. It is linked into greenroom for `greenroom demo`
// and into cmd/live for everybody else. Start at Run, or at one service: web.
package live

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/examples/live/api"
	"github.com/greenroom-dev/greenroom/examples/live/chat"
	"github.com/greenroom-dev/greenroom/examples/live/gift"
	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/wallet"
	"github.com/greenroom-dev/greenroom/examples/live/web"
	"github.com/greenroom-dev/greenroom/examples/live/worker"
)

// Services returns the names of all services, callers before those they call.
func Services() []string {
	return []string{"web", "api", "chat", "gift", "wallet", "worker"}
}

// Versions returns the versions that each service exists in.
func Versions() []string { return []string{"v1", "v2"} }

// Changed returns the services that the release of v2 replaces, together; the
// others stay.
func Changed() []string { return []string{"web", "chat", "gift", "wallet", "worker"} }

// Command returns the command line by which the program self, greenroom that is,
// runs one service of this fleet.
func Command(self, service, version string) []string {
	return []string{self, "demo-service", service, "--version", version}
}

// Run serves one service in one version until ctx ends, then lets requests under
// way finish and returns nil. It reads PORT and, from HOST on, what package boot
// documents, from getenv. The error says that there is no such service or
// version, that the environment lacks something, or why serving failed.
func Run(ctx context.Context, service, version string, getenv func(string) string, log *slog.Logger) error {
	if !slices.Contains(Versions(), version) {
		return fmt.Errorf("%s has no version %q; choose one of %s", service, version, strings.Join(Versions(), ", "))
	}
	p := boot.Process{Service: service, Version: version, Getenv: getenv, Log: log}
	switch service {
	case "web":
		return web.Run(ctx, p)
	case "api":
		return api.Run(ctx, p)
	case "chat":
		return chat.Run(ctx, p)
	case "gift":
		return gift.Run(ctx, p)
	case "wallet":
		return wallet.Run(ctx, p)
	case "worker":
		return worker.Run(ctx, p)
	}
	return fmt.Errorf("the demo fleet has no service %q; choose one of %s", service, strings.Join(Services(), ", "))
}
