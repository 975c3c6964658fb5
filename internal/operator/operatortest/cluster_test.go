package operatortest

import (
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestCluster(t *testing.T) {
	c := Start(t, User{Name: "ann", Groups: []string{"testers", "staff"}})
	t.Run("it serves all that the operator knows", func(t *testing.T) {
		k := c.clientset(t)
		for group, kind := range map[string]string{
			"greenroom.dev/v1alpha1": "Fleet", "argoproj.io/v1alpha1": "Rollout", "networking.istio.io/v1": "VirtualService",
			"security.istio.io/v1": "RequestAuthentication", "telemetry.istio.io/v1": "Telemetry",
		} {
			served, err := k.Discovery().ServerResourcesForGroupVersion(group)
			if err != nil {
				t.Errorf("%s: %v", group, err)
				continue
			}
			if !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
				t.Errorf("%s has no %s", group, kind)
			}
		}
	})
	t.Run("a user is known by a token", func(t *testing.T) {
		who := self(t, c.As(t, "ann"))
		if who.Username != "ann" || !slices.Contains(who.Groups, "staff") {
			t.Errorf("ann is %v", who)
		}
	})
	t.Run("a service account is known by a token", func(t *testing.T) {
		ns := c.Namespace(t)
		if who := self(t, c.ByToken(c.ServiceAccountToken(t, ns, "robot"))); who.Username != "system:serviceaccount:"+ns+":robot" {
			t.Errorf("the robot is %v", who)
		}
	})
}

// self is whom the API server takes somebody for.
func self(t *testing.T, config *rest.Config) authenticationv1.UserInfo {
	t.Helper()
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := k.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo
}
