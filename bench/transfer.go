package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// arrivalTime is how long the last object may take to reach the archive after
// its sender was told of success.
const arrivalTime = 2 * time.Minute

// A receiver is one archive to send to.
type receiver struct {
	name  string
	start func(ctx context.Context, dir string, env []string) (*upstream, error)
}

var receivers = [...]receiver{
	{"storescp", func(ctx context.Context, dir string, env []string) (*upstream, error) {
		return startStorescp(ctx, dir, env)
	}},
	{"storescp --fork", func(ctx context.Context, dir string, env []string) (*upstream, error) {
		return startStorescp(ctx, dir, env, "--fork")
	}},
	{"Orthanc", startOrthanc},
}

// transfers sends the same images with storescu, on one association, to each
// archive directly and through the gateway.
func transfers(ctx context.Context, b *bench) error {
	files := filepath.Join(b.dir, "ct")
	size, err := makeCTs(files, b.images)
	if err != nil {
		return err
	}
	rows := [][]string{{"archive", "DCMTK sockets", "direct images/s", "MB/s", "through images/s", "MB/s", "through : direct", "last one there after"}}
	for _, sockets := range [...]struct {
		name string
		env  []string
	}{{"default", nil}, {"tuned", tuned}} {
		for _, r := range receivers {
			t := transfer{bench: b, receiver: r, env: sockets.env, files: files}
			direct, err := t.direct(ctx)
			if err != nil {
				return fmt.Errorf("%s, direct: %w", r.name, err)
			}
			through, err := t.through(ctx)
			if err != nil {
				return fmt.Errorf("%s, through cordon: %w", r.name, err)
			}
			rows = append(rows, []string{r.name, sockets.name,
				rate(b.images, direct.sent), megabytes(size, direct.sent),
				rate(b.images, through.sent), megabytes(size, through.sent),
				fmt.Sprintf("%.2f", direct.sent.Seconds()/through.sent.Seconds()),
				fmt.Sprintf("+%.1f s", (through.arrived - through.sent).Seconds())})
		}
	}
	b.table(fmt.Sprintf("%d CT images, %.0f MB, one association (storescu)", b.images, float64(size)/1e6), rows)
	return nil
}

// A transfer is one archive with one kind of sockets.
type transfer struct {
	*bench
	receiver receiver
	env      []string
	files    string
}

// took is how long a transfer lasted: until the sender had its last answer,
// and until the archive had the last object.
type took struct{ sent, arrived time.Duration }

func (t transfer) direct(ctx context.Context) (took, error) {
	dir, err := os.MkdirTemp(t.dir, "direct-")
	if err != nil {
		return took{}, err
	}
	defer os.RemoveAll(dir)
	u, err := t.receiver.start(ctx, filepath.Join(dir, "archive"), t.env)
	if err != nil {
		return took{}, err
	}
	defer u.peer.stop()
	return t.send(ctx, u.port, u)
}

func (t transfer) through(ctx context.Context) (took, error) {
	dir, err := os.MkdirTemp(t.dir, "through-")
	if err != nil {
		return took{}, err
	}
	defer os.RemoveAll(dir)
	u, err := t.receiver.start(ctx, filepath.Join(dir, "archive"), t.env)
	if err != nil {
		return took{}, err
	}
	defer u.peer.stop()
	g, err := t.startCordon(ctx, filepath.Join(dir, "cordon"), u.title, u.port)
	if err != nil {
		return took{}, err
	}
	defer g.peer.stop()
	return t.send(ctx, g.port, u)
}

// send stores every file and waits until the archive has as many.
func (t transfer) send(ctx context.Context, port string, u *upstream) (took, error) {
	begin := time.Now()
	if err := storescu(ctx, t.env, port, u.title, t.files); err != nil {
		return took{}, err
	}
	sent := time.Since(begin)
	for {
		n, err := u.count()
		if err != nil {
			return took{}, err
		}
		since := time.Since(begin)
		if n == t.images {
			return took{sent, since}, nil
		}
		if since > sent+arrivalTime {
			return took{}, fmt.Errorf("%d images were sent, %d arrived", t.images, n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// storescu sends a directory on one association.
func storescu(ctx context.Context, env []string, port, called, dir string) error {
	cmd := exec.CommandContext(ctx, "storescu", "-aet", "CT1", "-aec", called, "+sd", "127.0.0.1", port, dir)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("storescu: %w: %s", err, out)
	} else if strings.Contains(string(out), "Store Failed") {
		return fmt.Errorf("storescu: %s", out)
	}
	return nil
}

func rate(n int, d time.Duration) string { return fmt.Sprintf("%.0f", float64(n)/d.Seconds()) }

func megabytes(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(bytes)/1e6/d.Seconds())
}

// after returns what follows the first mark in s.
func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}
