package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// dashboard is what is installed in a Grafana.
const dashboard = "../../deploy/grafana/greenroom.json"

// described is every metric that greenroom gives, with its labels.
func described(t *testing.T) map[string][]string {
	t.Helper()
	descs := make(chan *prometheus.Desc, 1000)
	New("test").registry.Describe(descs)
	close(descs)
	form := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	out := map[string][]string{}
	for d := range descs {
		parts := form.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("not understood: %s", d)
		}
		out[parts[1]] = strings.Split(parts[2], ",")
	}
	return out
}

// texts are all strings of a JSON value.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			out = append(out, texts(one)...)
		}
	case map[string]any:
		for _, one := range v {
			out = append(out, texts(one)...)
		}
	}
	return out
}

// TestDashboardNamesWhatThereIs holds the dashboard to the metrics: each that
// it names exists, with the labels that it asks for, and each of greenroom's
// own is shown.
func TestDashboardNamesWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board any
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	known := described(t)
	var (
		metric  = regexp.MustCompile(`\bgreenroom_[a-z_]+`)
		grouped = regexp.MustCompile(`\bby \(([^)]*)\)`)
		matched = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
		valued  = regexp.MustCompile(`label_values\([a-z_]+, ([a-z_]+)\)`)
	)
	shown := map[string]bool{}
	for _, text := range texts(board) {
		names := metric.FindAllString(text, -1)
		labels := []string{"le"}
		for _, name := range names {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); known[base] != nil {
					name = base
				}
			}
			if known[name] == nil {
				t.Errorf("there is no metric %s: %s", name, text)
			}
			shown[name] = true
			labels = append(labels, known[name]...)
		}
		if len(names) == 0 {
			continue
		}
		if strings.Count(text, "(") != strings.Count(text, ")") || strings.Count(text, "{") != strings.Count(text, "}") {
			t.Errorf("its brackets do not match: %s", text)
		}
		var asked []string
		for _, g := range grouped.FindAllStringSubmatch(text, -1) {
			asked = append(asked, strings.Split(g[1], ", ")...)
		}
		for _, form := range []*regexp.Regexp{matched, valued} {
			for _, g := range form.FindAllStringSubmatch(text, -1) {
				asked = append(asked, g[1])
			}
		}
		for _, label := range asked {
			if !slices.Contains(labels, label) {
				t.Errorf("no metric there has the label %q: %s", label, text)
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "greenroom_") && !shown[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}
