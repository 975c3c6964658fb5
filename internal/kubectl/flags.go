package kubectl

import (
	"fmt"

	"github.com/spf13/pflag"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/adopt"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// flags say which cluster, which fleet, and as whom.
type flags struct {
	kubeconfig     string
	context        string
	namespace      string
	fleet          string
	serviceAccount string
	operator       string // namespace
}

func (f *flags) register(set *pflag.FlagSet) {
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file (default: as kubectl finds it)")
	set.StringVar(&f.context, "context", "", "context of the kubeconfig (default: its current one)")
	set.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the fleet (default: the context's)")
	set.StringVar(&f.fleet, "fleet", "", "name of the Fleet; needed where its namespace has several")
	set.StringVar(&f.serviceAccount, "service-account", "", "be this ServiceAccount of the fleet's namespace, by a token that is good for the operator alone")
	set.StringVar(&f.operator, "operator-namespace", "greenroom-system", "namespace that the operator runs in")
}

// cluster is the API server that the flags name.
type cluster struct {
	config    *rest.Config
	namespace string // of the fleet
}

// cluster reads the kubeconfig.
func (f *flags) cluster() (cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return cluster{}, command.BadInputf("read the kubeconfig: %w; name one with --kubeconfig, or a context with --context", err)
	}
	namespace := f.namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return cluster{}, command.BadInputf("read the kubeconfig's namespace: %w; name one with -n", err)
		}
	}
	return cluster{config, namespace}, nil
}

// client returns a client of the API server that knows the kinds that the
// commands read and write.
func (c cluster) client() (kube.WithWatch, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, crd.AddToScheme, networkingv1.AddToScheme, adopt.Scheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("the commands' kinds: %w", err)
		}
	}
	out, err := kube.NewWithWatch(c.config, kube.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("set up a client of the cluster: %w", err)
	}
	return out, nil
}
