// Command image builds the operator as a static program and writes it as a
// container image, in the form of docker save: no daemon, no base image, nothing
// but the program. It is what make image runs.
//
//	go run ./deploy/image -o bin/greenroom-operator.tar -arch arm64
//
// docker load -i, podman load -i, ctr images import and skopeo copy
// docker-archive: take the file. What is in the image is what Dockerfile says;
// a test holds the two to each other.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/greenroom-dev/greenroom/deploy"
	"github.com/greenroom-dev/greenroom/internal/image"
)

// options say what is built, and where it goes.
type options struct {
	name string // of the image, with its tag
	arch string // as Go names it
	pkg  string // a main package
	out  string // a file; its folder is made
}

// user is who the program runs as: nobody that the host knows.
const user = "65532:65532"

func main() {
	var o options
	flag.StringVar(&o.name, "name", deploy.DefaultImage, "the image's name, with its tag")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "the processors that it is for, as Go names them")
	flag.StringVar(&o.pkg, "package", "./cmd/greenroom-operator", "the program")
	flag.StringVar(&o.out, "o", "bin/greenroom-operator.tar", "the file to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	fmt.Printf("%s: %s for linux/%s\n", o.out, o.name, o.arch)
}

// run builds the program and writes the image beside its place before it takes
// it: what is there is whole.
func run(ctx context.Context, o options) error {
	scratch, err := os.MkdirTemp("", "greenroom-image-")
	if err != nil {
		return fmt.Errorf("making a folder for the program: %w", err)
	}
	defer os.RemoveAll(scratch)
	program := filepath.Join(scratch, "greenroom-operator")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, o.pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+o.arch)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s for linux/%s: %w: %s", o.pkg, o.arch, err, out)
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return fmt.Errorf("making the folder of %s: %w", o.out, err)
	}
	part, err := os.CreateTemp(filepath.Dir(o.out), filepath.Base(o.out)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	defer os.Remove(part.Name())
	defer part.Close()
	if err := content(o, program).WriteTar(part); err != nil {
		return err
	}
	if err := part.Chmod(0o644); err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	if err := part.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	if err := os.Rename(part.Name(), o.out); err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	return nil
}

// content is the program and nothing else: it writes no files, and trusts the
// certificate that Kubernetes mounts into its pod.
func content(o options, program string) image.Image {
	return image.Image{
		Name: o.name, Arch: o.arch, User: user,
		Entrypoint: []string{"/greenroom-operator"},
		Files:      []image.File{{Path: "/greenroom-operator", Source: program}},
	}
}
