package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// sidecarName is what Istio calls the container of its proxy.
const sidecarName = "istio-proxy"

// Pods is what was observed of the pods of one version.
type Pods struct {
	Total   int                 // that are not over
	Ready   int                 // that take requests, and were not told to stop
	Proxied int                 // that have a sidecar
	Images  map[string][]string // container → images by digest that its pods run, sorted, each once; but for the sidecar
	Trouble Trouble             // why one of them does not start, the first by name that says so
}

// Trouble is why a pod does not start. Its zero value: none says so.
type Trouble struct {
	Pod     string
	Reason  string // the kubelet's word for it, such as CrashLoopBackOff or OOMKilled
	Message string // the kubelet's, which may be long
	Ran     bool   // its container did start, and ended: what it printed tells why
}

// String is all of it, "" for none.
func (t Trouble) String() string {
	if t.Reason == "" {
		return ""
	}
	return strings.TrimSuffix("pod "+t.Pod+": "+t.Reason+": "+t.Message, ": ")
}

// SaysMore is a command that tells more of it, about a service in the version of a
// release, or in the one that serves (""): the container's own output where it
// ran, else the pod's events.
func (t Trouble) SaysMore(namespace, service, release string) string {
	switch {
	case t.Ran && release == "":
		return "kubectl greenroom logs " + service
	case t.Ran:
		return "kubectl greenroom logs " + service + " --release " + release
	}
	return "kubectl -n " + namespace + " describe pod " + t.Pod
}

// ReadPods sorts the pods of a service by their template's hash. Pods without
// one are none of a Rollout's.
func ReadPods(pods []*corev1.Pod) map[string]Pods {
	out := map[string]Pods{}
	for _, p := range pods {
		hash := p.Labels[HashLabel]
		if hash == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		one := out[hash]
		if one.Images == nil {
			one.Images = map[string][]string{}
		}
		one.Total++
		if p.DeletionTimestamp == nil && podReady(p) {
			one.Ready++
		}
		if proxied(p) {
			one.Proxied++
		}
		if t := troubleOf(p); t.Reason != "" && (one.Trouble.Reason == "" || p.Name < one.Trouble.Pod) {
			one.Trouble = t
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == sidecarName {
				continue // the mesh changes it when it likes
			}
			if image, ok := byDigest(c.Image, c.ImageID); ok && !slices.Contains(one.Images[c.Name], image) {
				one.Images[c.Name] = append(one.Images[c.Name], image)
				slices.Sort(one.Images[c.Name])
			}
		}
		out[hash] = one
	}
	return out
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// proxied reports whether a pod has a sidecar, as a container or as an init
// container that goes on running.
func proxied(p *corev1.Pod) bool {
	isProxy := func(c corev1.Container) bool { return c.Name == sidecarName }
	return slices.ContainsFunc(p.Spec.Containers, isProxy) || slices.ContainsFunc(p.Spec.InitContainers, isProxy)
}

// troubleOf is why a pod does not start.
func troubleOf(p *corev1.Pod) Trouble {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && stuck(w.Reason) {
			return Trouble{Pod: p.Name, Reason: w.Reason, Message: w.Message, Ran: w.Reason == crashLoop}
		}
	}
	if p.DeletionTimestamp != nil {
		return Trouble{} // it was told to end
	}
	for _, c := range p.Status.ContainerStatuses {
		if ended := lastEnd(c); ended != nil && !c.Ready && ended.ExitCode != 0 {
			return Trouble{Pod: p.Name, Reason: ended.Reason, Message: fmt.Sprintf("exit code %d, restarted %d times", ended.ExitCode, c.RestartCount), Ran: true}
		}
	}
	return Trouble{}
}

// lastEnd is how a container ended last, as it does again and again between the
// times in which the kubelet backs off; nil: it did not.
func lastEnd(c corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

// crashLoop is the kubelet's word for a container that ends again and again.
const crashLoop = "CrashLoopBackOff"

func stuck(reason string) bool {
	switch reason {
	case crashLoop, "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError":
		return true
	}
	return false
}

// byDigest names an image by repository and digest. Runtimes give the digest
// in imageID, with the repository or alone.
func byDigest(image, imageID string) (string, bool) {
	imageID = strings.TrimPrefix(imageID, "docker-pullable://")
	at := strings.LastIndex(imageID, "sha256:")
	if at < 0 {
		return "", false
	}
	return repository(image) + "@" + imageID[at:], true
}

// repository is an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}

// digestOf is the digest that an image is named by, "" for none.
func digestOf(image string) string {
	_, digest, _ := strings.Cut(image, "@")
	return digest
}

// theImages are a version's images, if all of its pods agree on them.
func (p Pods) theImages() (map[string]string, bool) {
	out := map[string]string{}
	for _, c := range slices.Sorted(maps.Keys(p.Images)) {
		if len(p.Images[c]) != 1 {
			return nil, false
		}
		out[c] = p.Images[c][0]
	}
	return out, len(out) > 0
}
