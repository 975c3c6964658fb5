package deploy

import (
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// What the manifests say where nothing else is asked for.
const (
	DefaultNamespace = "greenroom-system"
	DefaultImage     = "greenroom-operator:dev"
)

// operator is what kustomize makes of kustomize/operator.
//
//go:embed manifests/operator.yaml
var operator string

// Install says how the operator is installed.
type Install struct {
	Namespace string // DefaultNamespace if empty
	Image     string // DefaultImage if empty; with tag or digest
}

// Manifests writes everything that the operator needs in a cluster, as YAML for
// kubectl apply. It fails for a namespace or an image that no cluster would
// take.
func Manifests(w io.Writer, in Install) error {
	out := operator
	if in.Namespace != "" {
		if !isLabel(in.Namespace) {
			return fmt.Errorf("%q is no name of a namespace: lower-case letters, digits and dashes, at most 63 characters", in.Namespace)
		}
		out = strings.ReplaceAll(out, DefaultNamespace, in.Namespace)
	}
	if in.Image != "" {
		if !isImage(in.Image) {
			return fmt.Errorf("%q is no name of an image, such as registry.example.com/greenroom-operator:1.0", in.Image)
		}
		out = strings.ReplaceAll(out, "image: "+DefaultImage+"\n", "image: "+in.Image+"\n")
	}
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("writing the manifests: %w", err)
	}
	return nil
}

func isLabel(s string) bool {
	return len(s) <= 63 && regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`).MatchString(s)
}

// isImage lets through what YAML takes for one plain text; whether there is such
// an image is the cluster's matter.
func isImage(s string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][-._/A-Za-z0-9]*(:[0-9]+/[-._/A-Za-z0-9]+)?(:[-._A-Za-z0-9]+)?(@sha256:[0-9a-f]{64})?$`).MatchString(s)
}
