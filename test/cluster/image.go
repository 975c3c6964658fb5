package cluster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"

	"github.com/greenroom-dev/greenroom/internal/image"
)

// imageHub leads the names of the images that the cluster makes. Nothing is
// ever fetched from there: pods need imagePullPolicy Never.
const imageHub = "images.test"

// Image is a container image of one layer, File a file of it.
type (
	Image = image.Image
	File  = image.File
)

// LoadImage writes the image and hands it to the cluster's containerd.
func (c *Cluster) LoadImage(ctx context.Context, i Image) error {
	cmd := exec.CommandContext(ctx, c.tools.bin("ctr"), "images", "import", "--local", "-")
	cmd.Env = c.Environ()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("importing the image %s: %w", i.Name, err)
	}
	writeErr := i.WriteTar(stdin)
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("importing the image %s: %w: %s", i.Name, cmp.Or(writeErr, err), out.Bytes())
	}
	return writeErr
}
