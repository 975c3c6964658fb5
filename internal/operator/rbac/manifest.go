package rbac

import (
	"bytes"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const (
	account   = "greenroom-operator" // the ServiceAccount
	namespace = "greenroom-system"   // where it is, as installed
	manifest  = "# Generated from the table in internal/operator/rbac by go generate; change that instead.\n"
)

// Manifest is the roles of the operator and their bindings, as YAML.
func Manifest() ([]byte, error) {
	out := bytes.NewBufferString(manifest)
	for i, one := range objects() {
		data, err := yaml.Marshal(one)
		if err != nil {
			return nil, fmt.Errorf("writing the operator's roles: %w", err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(bytes.ReplaceAll(data, []byte("  creationTimestamp: null\n"), nil))
	}
	return out.Bytes(), nil
}

func objects() []any {
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}}
	var out []any
	for _, one := range []struct {
		scope Scope
		name  string
	}{{Cluster, account + "-reader"}, {Fleets, account + "-fleets"}} {
		meta := metav1.ObjectMeta{Name: one.name}
		out = append(out, rbacv1.ClusterRole{TypeMeta: kind("ClusterRole"), ObjectMeta: meta, Rules: policy(one.scope)},
			rbacv1.ClusterRoleBinding{TypeMeta: kind("ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref("ClusterRole", one.name)})
	}
	meta := metav1.ObjectMeta{Name: account, Namespace: namespace}
	return append(out, rbacv1.Role{TypeMeta: kind("Role"), ObjectMeta: meta, Rules: policy(Own)},
		rbacv1.RoleBinding{TypeMeta: kind("RoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref("Role", account)})
}

func policy(s Scope) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range Rules() {
		if r.Scope == s {
			out = append(out, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: r.Resources, ResourceNames: r.Names, Verbs: r.Verbs})
		}
	}
	return out
}

func kind(name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: name}
}

func ref(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}
