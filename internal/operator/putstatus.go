package operator

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// putStatus writes the status of a Fleet, whose resourceVersion has to be the one
// in the cluster, and leaves in it the one that the write made.
type putStatus func(context.Context, *crd.Fleet) error

// metadataAlone asks the API server to answer with an object's metadata. One
// that does not know how answers with the object.
const metadataAlone = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// justStatus is a Fleet without its spec. The API server takes from the Fleet that
// it has all but the status, whatever is sent, and who owns which field of the
// spec stays as it is.
type justStatus struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name            string    `json:"name"`
		Namespace       string    `json:"namespace"`
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
	} `json:"metadata"`
	Status *crd.FleetStatus `json:"status"`
}

// newPutStatus is for what a switch waits for: a Fleet is as large as the fleet,
// and to send its spec, or to be answered with all of it, takes the API server and
// the operator the time to write it out and to read it.
func newPutStatus(config *rest.Config, scheme *runtime.Scheme) (putStatus, error) {
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	kind := crd.GroupVersion().WithKind("Fleet")
	c, err := apiutil.RESTClientForGVK(kind, true, false, config, serializer.NewCodecFactory(scheme), web)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, fleet *crd.Fleet) error {
		body := justStatus{TypeMeta: metav1.TypeMeta{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind}, Status: &fleet.Status}
		body.Metadata.Name, body.Metadata.Namespace = fleet.Name, fleet.Namespace
		body.Metadata.UID, body.Metadata.ResourceVersion = fleet.UID, fleet.ResourceVersion
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		answer := c.Put().Namespace(fleet.Namespace).Resource("fleets").Name(fleet.Name).SubResource("status").
			SetHeader("Accept", metadataAlone).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(data).Do(ctx)
		if err := answer.Error(); err != nil {
			return err
		}
		text, err := answer.Raw()
		if err != nil {
			return err
		}
		var left metav1.PartialObjectMetadata
		if err := json.Unmarshal(text, &left); err != nil {
			return fmt.Errorf("read the API server's answer: %w", err)
		}
		fleet.ResourceVersion = left.ResourceVersion
		return nil
	}, nil
}
