package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// width is where comments are wrapped.
const width = 80

// Write prints what takes the place of a Deployment: YAML in the order in which
// it is applied, with what has to be waited for and what was found as comments.
// It fails as Decide does, before it has written anything.
func Write(w io.Writer, f Found) error {
	p, err := Decide(f)
	if err != nil {
		return err
	}
	d := &document{}
	p.write(d)
	if d.err != nil {
		return fmt.Errorf("writing what takes the place of Deployment %s: %w", p.Name, d.err)
	}
	if _, err := w.Write(d.Bytes()); err != nil {
		return fmt.Errorf("writing what takes the place of Deployment %s: %w", p.Name, err)
	}
	return nil
}

// write puts the steps in their order. Nothing that takes pods or rules away is
// among the objects: whoever applies all of it at once loses nothing. Argo could
// scale the Deployment down (scaleDown: onsuccess), but does so in the moment in
// which it narrows the Service, when proxies still lead requests to these pods.
func (p Plan) write(d *document) {
	preview, former := p.Active.Name+previewSuffix, p.Active.Name+formerSuffix
	last := 3
	if p.Autoscaler != nil {
		last++
	}
	d.say("From Deployment %s in namespace %s to a Rollout of the same name. The Deployment stays, without pods: the Rollout takes its template. For a while there are twice as many pods.", p.Name, p.Namespace)
	for i, n := range p.Notes {
		if i == 0 {
			d.say("\nFound:")
		}
		d.item(n)
	}
	d.say("\n1. Two Services beside %s, which stays as it is. One is for the preview. The other is there until step %d: a pod that no Service selects any more is taken out of the mesh at once, with requests still on their way to it.", p.Active.Name, last)
	d.object(p.service(preview))
	d.object(p.service(former))
	d.say("2. The Rollout. Apply it, and wait until it is healthy: until all of its pods take requests, and %s leads to them alone.\n", p.Active.Name)
	d.line("  kubectl -n %s wait rollout/%s --for=jsonpath='{.status.phase}'=Healthy --timeout=15m", p.Namespace, p.Name)
	d.line("")
	d.object(p.rollout(preview))
	if p.Autoscaler != nil {
		d.say("3. The autoscaler scales the Rollout from now on. Its spec.replicas is the autoscaler's then: let Argo CD ignore it, or write the present number before each kubectl apply. Taken out of what was applied with it, it would be 1 for a moment.")
		d.object(p.autoscaler())
	}
	d.say("%d. When the Rollout has been healthy for some seconds, so that every proxy knows: the Deployment lets go of its pods. Where its manifest is kept, set spec.replicas: 0, and apply that. (Taken out, it would be 1.) New versions go on coming in by its template.\n", last)
	d.line("  kubectl -n %s scale deployment/%s --replicas=0", p.Namespace, p.Name)
	d.line("  kubectl -n %s wait pods -l '%s' --for=delete --timeout=15m", p.Namespace, p.Pods)
	d.line("  kubectl -n %s delete service/%s", p.Namespace, former)
	d.say("\n%d. In the Fleet:\n", last+1)
	d.comment(p.Fleet.document())
}

func (p Plan) meta(name string) map[string]any {
	return map[string]any{"name": name, "namespace": p.Namespace}
}

// service is a Service beside the active one, to the same pods and ports.
func (p Plan) service(name string) map[string]any {
	selector := map[string]any{}
	for key, value := range p.Active.Spec.Selector {
		selector[key] = value
	}
	var ports []any
	for _, port := range p.Active.Spec.Ports {
		one := map[string]any{"port": port.Port, "targetPort": port.TargetPort}
		if port.Name != "" {
			one["name"] = port.Name
		}
		if port.Protocol != "" && port.Protocol != "TCP" {
			one["protocol"] = port.Protocol
		}
		if port.AppProtocol != nil {
			one["appProtocol"] = *port.AppProtocol
		}
		ports = append(ports, one)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": p.meta(name),
		"spec": map[string]any{"selector": selector, "ports": ports}}
}

func (p Plan) rollout(preview string) map[string]any {
	meta := p.meta(p.Name)
	if len(p.Labels) > 0 {
		meta["labels"] = p.Labels
	}
	spec := map[string]any{
		"replicas":    p.Replicas,
		"workloadRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": p.Name, "scaleDown": "never"},
		"strategy": map[string]any{"blueGreen": map[string]any{
			"activeService": p.Active.Name, "previewService": preview, "autoPromotionEnabled": false,
			"scaleDownDelaySeconds": int((window + p.Drain).Seconds()),
		}},
	}
	if p.Progress != nil {
		spec["progressDeadlineSeconds"] = *p.Progress
	}
	if p.MinReady > 0 {
		spec["minReadySeconds"] = p.MinReady
	}
	return map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": spec}
}

func (p Plan) autoscaler() map[string]any {
	spec := p.Autoscaler.Spec.DeepCopy()
	spec.ScaleTargetRef.APIVersion, spec.ScaleTargetRef.Kind, spec.ScaleTargetRef.Name = "argoproj.io/v1alpha1", "Rollout", p.Name
	return map[string]any{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": p.meta(p.Autoscaler.Name), "spec": spec}
}

// document is the Snippet under the names of the Fleet.
func (s Snippet) document() map[string]any {
	type edge struct {
		Gateways []crd.Gateway `json:"gateways,omitempty"`
		Routes   []crd.Route   `json:"routes,omitempty"`
	}
	spec := map[string]any{"services": s.Services}
	if len(s.Gateways) > 0 {
		spec["edge"] = edge{s.Gateways, s.Routes}
	}
	return map[string]any{"spec": spec}
}

// document is YAML with comments; the first error stays.
type document struct {
	bytes.Buffer
	err error
}

func (d *document) line(format string, args ...any) {
	d.WriteString(strings.TrimRight("# "+fmt.Sprintf(format, args...), " ") + "\n")
}

// say writes a comment, wrapped; line breaks at its ends are kept as empty lines.
func (d *document) say(format string, args ...any) { d.wrapped("", fmt.Sprintf(format, args...)) }

// item writes an entry of a list as a comment.
func (d *document) item(text string) { d.wrapped("- ", text) }

func (d *document) wrapped(bullet, text string) {
	body := strings.TrimPrefix(text, "\n")
	if body != text {
		d.line("")
	}
	line, indent := bullet, strings.Repeat(" ", len(bullet))
	for _, word := range strings.Fields(body) {
		if len(line)+len(word) > width-2 && strings.TrimSpace(line) != "" && line != bullet {
			d.line("%s", strings.TrimRight(line, " "))
			line = indent
		}
		line += word + " "
	}
	d.line("%s", strings.TrimRight(line, " "))
	if strings.HasSuffix(body, "\n") {
		d.line("")
	}
}

// object writes a document of its own.
func (d *document) object(o map[string]any) {
	d.Write(d.yaml(o))
	d.WriteString("---\n")
}

// comment writes a document that nobody applies by mistake: it is not whole.
func (d *document) comment(o map[string]any) {
	for line := range strings.Lines(string(d.yaml(o))) {
		d.line("  %s", strings.TrimRight(line, "\n"))
	}
}

// yaml writes a value by its JSON names.
func (d *document) yaml(o any) []byte {
	data, err := json.Marshal(o)
	if err == nil {
		data, err = yaml.JSONToYAML(data)
	}
	if d.err == nil {
		d.err = err
	}
	return data
}
