package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cordon/console"
	"cordon/engine"
	"cordon/inspect"
	"cordon/judge"
	"cordon/setting"
)

// scanners are the engines of the configuration.
func (e EnginesConfig) scanners() []judge.Engine {
	var out []judge.Engine
	if e.Clamd != nil {
		out = append(out, engine.NewClamd(*e.Clamd))
	}
	if e.ICAP != nil {
		out = append(out, engine.NewICAP(*e.ICAP))
	}
	return out
}

// inMemory is a scratch for commands that have no custody.
type inMemory struct{ bytes.Buffer }

// maxInMemory bounds one piece: what engines take by default.
const maxInMemory = 25 << 20

func (m *inMemory) Write(p []byte) (int, error) {
	if m.Len()+len(p) > maxInMemory {
		return 0, fmt.Errorf("piece of more than %d MiB", maxInMemory>>20)
	}
	return m.Buffer.Write(p)
}

func (m *inMemory) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.Bytes())), nil
}
func (m *inMemory) Discard() {}

func newInMemory() judge.Scratch { return &inMemory{} }

// newJudge is the judge that the configuration describes. Larger pieces wait for
// the engines in scratch; live are the settings at each moment.
func (c Config) newJudge(scanners []judge.Engine, scratch func() judge.Scratch, live func() setting.Values) (*judge.Judge, error) {
	hashes, err := c.Engines.hashes()
	if err != nil {
		return nil, err
	}
	return judge.New(judge.Config{
		Hashes: hashes, Engines: scanners, Scratch: scratch, Arriving: c.Arriving,
		Live: func() judge.Live {
			v := live()
			return judge.Live{Rules: v.Rules, ScanPixelData: v.PixelData, Deadline: v.Deadline}
		},
	}), nil
}

func (e EnginesConfig) hashes() (inspect.HashList, error) {
	if e.Hashes == "" {
		return inspect.HashList{}, nil
	}
	var list inspect.HashList
	paths, err := hashFiles(e.Hashes)
	if err != nil {
		return list, fmt.Errorf("engines.hashes: %w", err)
	}
	for _, path := range paths {
		if err := addHashes(&list, path); err != nil {
			return list, fmt.Errorf("engines.hashes: %w", err)
		}
	}
	return list, nil
}

// hashFiles are the lists: the file itself, or every file of a folder.
func hashFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	var paths []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			paths = append(paths, filepath.Join(path, e.Name()))
		}
	}
	return paths, err
}

func addHashes(list *inspect.HashList, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := list.Add(f); err != nil {
		return fmt.Errorf("%s: %w (one SHA-256 or MD5 digest a line, then a name if there is one)", path, err)
	}
	return nil
}

// engineInterval is how often the engines are asked how they are.
const engineInterval = 30 * time.Second

// watchEngines puts every change of an engine's state on the ledger: when it
// went away, came back, or has other signatures. It ends with ctx.
func (d *daemon) watchEngines(ctx context.Context) error {
	last := map[string]engine.State{}
	ticker := time.NewTicker(engineInterval)
	defer ticker.Stop()
	for {
		for _, s := range d.scanners {
			now := s.State(ctx)
			was, known := last[now.Name]
			if ctx.Err() == nil && (!known || was.Up != now.Up || was.Signatures != now.Signatures) {
				d.noteEngine(ctx, now)
				last[now.Name] = now
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (d *daemon) noteEngine(ctx context.Context, s engine.State) {
	if s.Up {
		d.log.Info("engine answers", "engine", s.Name, "signatures", s.Signatures)
	} else {
		d.log.Warn("engine does not answer: what it should scan is unscanned", "engine", s.Name, "error", s.Error)
	}
	err := d.parts.ledger.Record(ctx, "engine.state", map[string]any{"engine": s.Name, "up": s.Up, "signatures": s.Signatures})
	if err != nil {
		d.log.Error("engine's state not recorded", "error", err)
	}
}

// engineStates describes the engines to the console.
func (d *daemon) engineStates(ctx context.Context) []console.Engine {
	var out []console.Engine
	for _, s := range d.scanners {
		out = append(out, console.Engine(s.State(ctx)))
	}
	return out
}
