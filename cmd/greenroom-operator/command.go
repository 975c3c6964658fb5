package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/greenroom-dev/greenroom/deploy"
	"github.com/greenroom-dev/greenroom/internal/operator"
)

func command() *cobra.Command {
	run := runCommand()
	root := &cobra.Command{
		Use:   "greenroom-operator",
		Short: "Keep the fleets of a Kubernetes cluster",
		Long: `Greenroom's operator keeps the Fleets of a cluster: several services go live as
one, in one step, and come back as fast, on Argo Rollouts and Istio.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: run.RunE,
	}
	root.Flags().AddFlagSet(run.Flags())
	root.AddCommand(run, manifestsCommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version()) },
	})
	return root
}

// memoryAim is how much memory the program may take, in bytes, before it spends
// more processor time on taking less; GOMEMLIMIT sets another. What a fleet of 300
// services needs at rest is well below it. The program's own pages, at most 51 MB,
// are beside it.
const memoryAim = 37 << 20

func runCommand() *cobra.Command {
	var o operator.Options
	var level string
	run := &cobra.Command{
		Use: "run", Short: "Keep fleets until told to stop (the default)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var at slog.Level
			if err := at.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level %s: write debug, info, warn or error", level)
			}
			if (o.CertFile == "") != (o.KeyFile == "") || (o.TLSAddr == "") != (o.CertFile == "") {
				return fmt.Errorf("--api-tls, --api-tls-cert and --api-tls-key go together: give all three or none")
			}
			var err error
			if o.Config, err = config.GetConfig(); err != nil {
				return fmt.Errorf("find the cluster: %w; in a pod its ServiceAccount says it, elsewhere KUBECONFIG", err)
			}
			if os.Getenv("GOMEMLIMIT") == "" {
				debug.SetMemoryLimit(memoryAim)
			}
			o.Version = version()
			o.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: at}))
			if o.PagesHost == "auto" {
				o.PagesHost = "greenroom-operator." + o.Namespace + ".svc." + o.ClusterDomain
			}
			return operator.Run(cmd.Context(), o)
		},
	}
	f := run.Flags()
	f.StringVar(&o.Namespace, "namespace", orElse(os.Getenv("POD_NAMESPACE"), deploy.DefaultNamespace), "the operator's own (POD_NAMESPACE); its Lease is there")
	f.StringVar(&o.MetricsAddr, "metrics", ":8080", "where Prometheus finds metrics; empty: nowhere")
	f.StringVar(&o.HealthAddr, "health", ":8081", "where /healthz and /readyz answer; empty: nowhere")
	f.StringVar(&o.PagesAddr, "pages", ":8084", "where the pages below /.greenroom/ and the stage answer, for the cluster; empty: nowhere")
	f.StringVar(&o.APIAddr, "api", "127.0.0.1:9090", "where the API answers in cleartext, for port-forwards: loopback")
	f.StringVar(&o.TLSAddr, "api-tls", "", "where the API answers with TLS, for an ingress; empty: nowhere")
	f.StringVar(&o.CertFile, "api-tls-cert", "", "PEM file of the certificate for --api-tls")
	f.StringVar(&o.KeyFile, "api-tls-key", "", "PEM file of its key")
	f.StringVar(&o.PagesHost, "pages-host", "auto", "host by which gateways reach --pages; auto: the Service greenroom-operator of --namespace; empty: they do not")
	f.StringVar(&o.ClusterDomain, "cluster-domain", "cluster.local", "domain of the cluster's Services")
	f.StringVar(&o.RootNamespace, "mesh-root-namespace", "istio-system", "namespace whose Istio objects hold for the whole mesh")
	f.BoolVar(&o.NoElection, "no-leader-election", false, "lead without asking: for trying it outside of a cluster")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return run
}

func manifestsCommand() *cobra.Command {
	var in deploy.Install
	cmd := &cobra.Command{
		Use: "manifests", Short: "Print what installs the operator, for kubectl apply -f -", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return deploy.Manifests(cmd.OutOrStdout(), in) },
	}
	cmd.Flags().StringVar(&in.Namespace, "namespace", deploy.DefaultNamespace, "where it runs")
	cmd.Flags().StringVar(&in.Image, "image", deploy.DefaultImage, "its image, with tag or digest")
	return cmd
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// version is what the build says of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
