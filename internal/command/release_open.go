package command

import (
	"context"
	"fmt"
	"io"

	"github.com/greenroom-dev/greenroom/client"
)

// Opened waits until a release that was opened is Previewing, and tells how
// people get to see it. done is what the opening answered.
func (a *App) Opened(ctx context.Context, api *client.Client, name string, done client.Changed, w Waiting) error {
	r, err := a.AwaitPreview(ctx, api, name, w)
	if err != nil {
		return err
	}
	done.Release, done.Message = &r, fmt.Sprintf("%s is %s", name, r.Phase)
	return a.Print(done, func(out io.Writer) {
		if !done.Changed {
			fmt.Fprintf(out, "%s was open with this content already.\n", name)
		}
		fmt.Fprintf(out, "%s is %s; ordinary requests still get %s.\n", name, r.Phase, client.Status{Serving: done.Serving}.Named(done.Serving.Release))
		fmt.Fprintf(out, "Look at it:   greenroom pass create %s\nGo live:      greenroom promote %s\n", name, name)
	})
}
