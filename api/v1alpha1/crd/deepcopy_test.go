package crd_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// fill gives every field below v a value, lists and maps one entry.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.Time]() {
			v.Set(reflect.ValueOf(metav1.Unix(int64(time.Hour.Seconds()), 0)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint('1')
	}
}

// shared lists where two values point to the same memory.
func shared(a, b reflect.Value, at string) []string {
	var out []string
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || a.Type() == reflect.TypeFor[*time.Location]() {
			return nil
		}
		if a.Pointer() == b.Pointer() {
			return []string{at}
		}
		return shared(a.Elem(), b.Elem(), at)
	case reflect.Map, reflect.Slice:
		if a.Len() > 0 && a.Pointer() == b.Pointer() {
			return []string{at}
		}
		if a.Kind() == reflect.Slice {
			for i := range a.Len() {
				out = append(out, shared(a.Index(i), b.Index(i), at+"[]")...)
			}
		}
	case reflect.Struct:
		for i := range a.NumField() {
			out = append(out, shared(a.Field(i), b.Field(i), at+"."+a.Type().Field(i).Name)...)
		}
	}
	return out
}

func TestCopiesShareNothing(t *testing.T) {
	for _, o := range []runtime.Object{&crd.Fleet{}, &crd.FleetList{}, &crd.Release{}, &crd.ReleaseList{}} {
		fill(reflect.ValueOf(o).Elem())
		if reflect.TypeOf(o) == reflect.TypeFor[*crd.Fleet]() {
			if f := o.(*crd.Fleet); len(f.Spec.Edge.Routes[0].CORS.AllowOrigins) != 1 {
				t.Fatal("the filled Fleet has empty fields")
			}
		}
		copied := o.DeepCopyObject()
		opts := cmp.Exporter(func(reflect.Type) bool { return true })
		if diff := cmp.Diff(o, copied, opts); diff != "" {
			t.Errorf("a copy of %T differs: %s", o, diff)
		}
		for _, at := range shared(reflect.ValueOf(o), reflect.ValueOf(copied), "") {
			t.Errorf("a copy of %T shares %s", o, at)
		}
	}
	if (*crd.Fleet)(nil).DeepCopy() != nil || (*crd.Release)(nil).DeepCopy() != nil {
		t.Error("a copy of nothing is something")
	}
}

func TestSchemeKnowsTheKinds(t *testing.T) {
	s := runtime.NewScheme()
	if err := crd.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"Fleet", "FleetList", "Release", "ReleaseList"} {
		if !s.Recognizes(crd.GroupVersion().WithKind(kind)) {
			t.Errorf("%s is unknown", kind)
		}
	}
}
