package propagate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// RunOnStage calls work each time this instance is admitted to the stage, leaves
// the stage when work has returned, and waits for the next time. It returns when
// ctx ends, with its error; or when work returns an error of its own or, while
// still on stage, nil.
//
// The context given to work is [Stage.Context]: when it ends, work finishes what
// it has in hand and returns.
func RunOnStage(ctx context.Context, work func(context.Context, *Stage) error, opts ...Option) error {
	return runOnStage(ctx, func(onStage context.Context, stage *Stage) error {
		err := work(onStage, stage)
		if onStage.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // it did as it was told
		}
		return err
	}, opts)
}

func runOnStage(ctx context.Context, work func(context.Context, *Stage) error, opts []Option) error {
	term := 0
	opts = append(slices.Clip(opts), func(s *settings) { s.term = term })
	for {
		again, heard, err := onceOnStage(ctx, work, opts)
		if !again {
			return err
		}
		if !heard {
			// The leave may still be on its way, and must not take what this worker is
			// given next: it goes by another name from now on.
			term++
		}
	}
}

// onceOnStage goes on stage once. heard is false when greenroom may not have
// heard that it left.
func onceOnStage(ctx context.Context, work func(context.Context, *Stage) error, opts []Option) (again, heard bool, err error) {
	stage, err := OnStage(ctx, opts...)
	if err != nil {
		return false, true, err
	}
	heard = true
	defer func() {
		if left := stage.Leave(); left != nil {
			heard = false
			stage.usher.log.Warn("leaving the stage", "error", left)
		}
	}()
	err = work(stage.Context(), stage)
	ended := stage.Context().Err() != nil
	switch {
	case err != nil:
		return false, true, err
	case ctx.Err() != nil:
		return false, true, context.Cause(ctx)
	}
	return ended, true, nil
}

// ConsumeOnStage works a queue while on stage: it takes an item, handles it, and
// takes the next. take has a context that ends when one must leave the stage;
// handle has one that lasts [WithDeadline] longer, so that an item that was taken
// is finished, and gets the epoch as a fencing token (see [Stage.Epoch]).
//
// It returns when ctx ends, with its error, or with the first error of take or
// handle. An item that cannot be handled is therefore up to handle: put it aside
// and return nil.
func ConsumeOnStage[T any](
	ctx context.Context,
	take func(context.Context) (T, error),
	handle func(ctx context.Context, item T, epoch uint64) error,
	opts ...Option,
) error {
	s := newSettings(opts)
	return runOnStage(ctx, func(onStage context.Context, stage *Stage) error {
		for onStage.Err() == nil {
			item, err := take(onStage)
			if err != nil {
				if onStage.Err() != nil {
					return nil
				}
				return fmt.Errorf("taking the next item: %w", err)
			}
			if err := handleItem(onStage, stage, item, handle, s.base, s.deadline); err != nil {
				return fmt.Errorf("handling an item: %w", err)
			}
		}
		return nil
	}, opts)
}

func handleItem[T any](
	onStage context.Context, stage *Stage, item T,
	handle func(context.Context, T, uint64) error,
	base context.Context, deadline time.Duration,
) error {
	ctx, cancel := outliveClient(onStage, base, deadline)
	defer cancel()
	return handle(ctx, item, stage.Epoch())
}
