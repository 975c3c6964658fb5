package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1client "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/access"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// LeaseName is the Lease of the operator that leads; its holder's identity
// begins with the name of its pod.
const LeaseName = "greenroom-operator"

// Options are what an operator is run with. Addresses are host:port; an empty
// one is not listened at.
type Options struct {
	Config    *rest.Config
	Namespace string // its own
	Version   string // of greenroom
	Log       *slog.Logger

	MetricsAddr string
	HealthAddr  string
	PagesAddr   string // of the pages below /.greenroom/ and the stage, for the cluster
	APIAddr     string // of the API in cleartext: loopback, reached by port-forward
	TLSAddr     string // of the API for others, with CertFile and KeyFile
	CertFile    string
	KeyFile     string

	PagesHost     string // by which gateways reach PagesAddr's port; empty: they do not
	ClusterDomain string
	RootNamespace string // of the mesh
	NoElection    bool   // it leads without asking: only for a cluster of its own

	Meters prometheus.Registerer // nil: what MetricsAddr shows
}

// The bounds of a lease. Whoever holds it stops before it is over, so that no
// two operators write at a time.
const (
	leaseFor    = 15 * time.Second
	leaseRenew  = 10 * time.Second
	leaseRetry  = 2 * time.Second
	stopWithin  = 20 * time.Second
	clientRate  = 100 // requests a second to the API server
	clientBurst = 200
)

// Run keeps the fleets of a cluster until ctx is done, while it leads.
func Run(ctx context.Context, o Options) error {
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst = clientRate, clientBurst
	config.UserAgent = "greenroom-operator/" + o.Version
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	log := logr.FromSlogHandler(o.Log.Handler())
	ctrl.SetLogger(log)
	mgr, err := manager.New(config, manager.Options{
		Scheme: scheme, Logger: log, Cache: cacheOptions(),
		Metrics:                metricsserver.Options{BindAddress: orNone(o.MetricsAddr)},
		HealthProbeBindAddress: orNone(o.HealthAddr),
		LeaderElection:         !o.NoElection, LeaderElectionID: LeaseName, LeaderElectionNamespace: o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseFor), RenewDeadline: new(leaseRenew), RetryPeriod: new(leaseRetry),
		GracefulShutdownTimeout: new(stopWithin),
	})
	if err != nil {
		return fmt.Errorf("set up the operator: %w", err)
	}
	ours, err := cache.New(config, ourCacheOptions(scheme, mgr.GetRESTMapper()))
	if err != nil {
		return fmt.Errorf("set up the operator: %w", err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	urgent := rest.CopyConfig(config)
	urgent.QPS = -1 // a switch is a handful of requests, and does not wait behind a pass over a large fleet
	switches, err := client.New(urgent, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	put, err := newPutStatus(urgent, scheme)
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	reviews, err := newReviews(config)
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	if o.Meters == nil {
		o.Meters = ctrlmetrics.Registry
	}
	fleets := NewFleets(Deps{
		Cache: mgr.GetCache(), Ours: ours, Direct: direct, Switch: switches, Put: put, Pods: core, Metrics: NewMetrics(o.Meters),
		Access: func(namespace string) httpapi.Access { return reviews.For(namespace) },
		Grants: func(namespace string) httpapi.Access { return reviews.Grants(namespace) },
		Log:    o.Log, Now: time.Now, Version: o.Version, Pages: o.pages(),
		ClusterDomain: o.ClusterDomain, RootNamespace: o.RootNamespace,
	})
	served := fleets.API()
	if err := errors.Join(
		mgr.Add(ourCache{ours}),
		watch(mgr, ours, fleets),
		mgr.AddHealthzCheck("alive", healthz.Ping),
		mgr.AddReadyzCheck("leads", leads(mgr)),
		mgr.Add(&server{name: "pages", addr: o.PagesAddr, handler: fleets.Pages(), log: o.Log}),
		mgr.Add(&server{name: "api", addr: o.APIAddr, handler: served, log: o.Log}),
		mgr.Add(&server{name: "api", addr: o.TLSAddr, handler: served, log: o.Log, cert: o.CertFile, key: o.KeyFile}),
	); err != nil {
		return fmt.Errorf("set up the operator: %w", err)
	}
	defer fleets.Stop()
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the operator: %w", err)
	}
	return nil
}

// newReviews asks who calls and what he may do. What strangers ask is counted by
// itself: it must not keep the operator from its own work.
func newReviews(config *rest.Config) (*access.Reviews, error) {
	strangers := rest.CopyConfig(config)
	strangers.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(clientRate, clientBurst) // for both
	who, err := authenticationv1client.NewForConfig(strangers)
	if err != nil {
		return nil, err
	}
	may, err := authorizationv1client.NewForConfig(strangers)
	if err != nil {
		return nil, err
	}
	return access.New(who.TokenReviews(), may.SubjectAccessReviews(), time.Now), nil
}

// leads is ready as soon as this operator leads: only then does it answer.
func leads(mgr manager.Manager) healthz.Checker {
	return func(*http.Request) error {
		select {
		case <-mgr.Elected():
			return nil
		default:
			return errors.New("another operator leads")
		}
	}
}

// orNone is what controller-runtime calls an address that is not listened at.
func orNone(addr string) string {
	if addr == "" {
		return "0"
	}
	return addr
}

func (o Options) pages() *kubernetes.Backend {
	_, port, err := net.SplitHostPort(o.PagesAddr)
	if err != nil || o.PagesHost == "" {
		return nil
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil
	}
	return &kubernetes.Backend{Host: o.PagesHost, Port: number}
}

// server is a listener of the operator that leads.
type server struct {
	name    string
	addr    string
	handler http.Handler
	log     *slog.Logger
	cert    string
	key     string
}

// NeedLeaderElection says that only who leads answers.
func (s *server) NeedLeaderElection() bool { return true }

// Start listens until ctx is done.
func (s *server) Start(ctx context.Context) error {
	if s.addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", s.name, err)
	}
	h := httpapi.NewHTTP(s.handler, s.log)
	done := make(chan error, 1)
	go func() {
		if s.cert != "" {
			done <- h.ServeTLS(l, s.cert, s.key)
			return
		}
		done <- h.Serve(l)
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s at %s: %w", s.name, s.addr, err)
	case <-ctx.Done():
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := h.Shutdown(short); err != nil {
		_ = h.Close() // streams are broken off; their readers connect again
	}
	return nil
}
