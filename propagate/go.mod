module github.com/greenroom-dev/greenroom/propagate

go 1.26
