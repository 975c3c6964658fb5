package deploy_test

import (
	"fmt"
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// What Argo CD shows, by the interpreter that Argo CD uses.
func TestHealth(t *testing.T) {
	data, err := os.ReadFile("kustomize/example/argocd/health.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var settings corev1.ConfigMap
	if err := yaml.UnmarshalStrict(data, &settings); err != nil {
		t.Fatal(err)
	}
	const newer = "metadata: {generation: 7}\nstatus: {observedGeneration: 6, phase: Live, conditions: [{type: Ready, status: 'True', message: fine}]}"
	ready := func(status string) string {
		return fmt.Sprintf("metadata: {generation: 7}\nstatus: {observedGeneration: 7, conditions: [{type: PodsUnknown, status: 'True', message: no}, {type: Ready, status: '%s', message: so}]}", status)
	}
	phase := func(name string) string {
		return "metadata: {generation: 7}\nstatus: {observedGeneration: 7, phase: " + name + "}"
	}
	for _, c := range []struct{ kind, object, want string }{
		{"Fleet", "metadata: {generation: 7}", "Progressing: Waiting for the operator"},
		{"Fleet", newer, "Progressing: Waiting for the operator"},
		{"Fleet", ready("True"), "Healthy: so"},
		{"Fleet", ready("False"), "Degraded: so"},
		{"Fleet", ready("Unknown"), "Progressing: so"},
		{"Release", "metadata: {generation: 7}", "Progressing: Waiting for the operator"},
		{"Release", newer, "Progressing: Waiting for the operator"},
		{"Release", phase("Preparing"), "Progressing: Preparing"},
		{"Release", phase("Previewing"), "Suspended: Previewing"},
		{"Release", phase("Canary"), "Suspended: Canary"},
		{"Release", phase("Live"), "Healthy: Live"},
		{"Release", phase("Settling"), "Healthy: Settling"},
		{"Release", phase("Settled"), "Healthy: Settled"},
		{"Release", phase("Aborted"), "Healthy: Aborted"},
		{"Release", phase("Failed, reason: out of pods"), "Degraded: Failed: out of pods"},
		{"Release", phase("Dancing"), "Unknown: Dancing"},
	} {
		if got := health(t, settings.Data["resource.customizations.health.greenroom.dev_"+c.kind], c.object); got != c.want {
			t.Errorf("a %s with %s is %q, want %q", c.kind, c.object, got, c.want)
		}
	}
}

// health asks a script about an object, as Argo CD does.
func health(t *testing.T, script, object string) string {
	t.Helper()
	var o any
	if err := yaml.Unmarshal([]byte(object), &o); err != nil {
		t.Fatal(err)
	}
	l := lua.NewState()
	defer l.Close()
	l.SetGlobal("obj", value(l, o))
	if err := l.DoString(script); err != nil {
		t.Fatal(err)
	}
	out, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returned %v", l.Get(-1))
	}
	return fmt.Sprintf("%v: %v", out.RawGetString("status"), out.RawGetString("message"))
}

// value is a document's value as Lua has it.
func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		out := l.NewTable()
		for key, one := range v {
			out.RawSetString(key, value(l, one))
		}
		return out
	case []any:
		out := l.NewTable()
		for _, one := range v {
			out.Append(value(l, one))
		}
		return out
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}
