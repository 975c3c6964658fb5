package cli

import "context"

func (a *app) demoTour(ctx context.Context, s *staged) error {
	<-ctx.Done()
	return nil
}
