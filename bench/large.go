package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// Large objects: native pixel data of one value has at most 4 GiB less two bytes;
// fragments have no such end.
const (
	largeFrames    = 2047 // of 2 MiB: 4 GiB less 2 MiB
	largeFragments = 2048 // the same, 4 GiB and their headers
	frameBytes     = hugeSide * hugeSide * 2
)

// large measures the most that `cordon inspect` has resident on objects of 4 GiB.
func large(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "large")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	idle, err := b.mostResident(ctx, "version")
	if err != nil {
		return err
	}
	rows := [][]string{{"cordon inspect", "bytes", "peak resident MiB", "above idle MiB"}, {"idle (cordon version)", "", mebibytes(idle), ""}}
	for _, object := range []struct {
		name  string
		write func(path string) error
	}{
		{"one CT image", func(path string) error { return os.WriteFile(path, compose.CT(ctSide, ctSide).File(), 0o600) }},
		{fmt.Sprintf("%d frames, native", largeFrames), writeNative},
		{fmt.Sprintf("%d frames, encapsulated", largeFragments), writeFragments},
	} {
		path := filepath.Join(dir, "object.dcm")
		if err := object.write(path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		most, err := b.mostResident(ctx, "inspect", "--json", path)
		if err != nil {
			return fmt.Errorf("%s: %w", object.name, err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		rows = append(rows, []string{object.name, fmt.Sprint(info.Size()), mebibytes(most), mebibytes(most - idle)})
	}
	b.table("memory of cordon inspect", rows)
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// mostResident runs cordon and asks for its peak as long as it runs: what the
// system tells after its end may be the peak of the program that started it.
func (b *bench) mostResident(ctx context.Context, argv ...string) (most int64, err error) {
	for range 10 {
		p, err := start(filepath.Join(b.dir, "resident"), nil, append([]string{b.cordon}, argv...)...)
		if err != nil {
			return 0, err
		}
		peak := p.watchPeak(ctx)
		if code := p.cmd.ProcessState.ExitCode(); code > 1 {
			text, _ := os.ReadFile(p.log)
			return 0, fmt.Errorf("exit code %d: %s", code, text)
		}
		most = max(most, peak)
		if argv[0] != "version" {
			break
		}
	}
	return most, ctx.Err()
}

// watchPeak returns the last peak that the program had, once it has ended.
func (p *peer) watchPeak(ctx context.Context) (most int64) {
	for {
		if peak, err := p.peak(); err == nil {
			most = max(most, peak)
		}
		select {
		case <-p.gone:
			return most
		case <-ctx.Done():
			p.stop()
			return most
		case <-time.After(200 * time.Microsecond):
		}
	}
}

// multiFrame is an object of CT frames without its pixel data.
func multiFrame(frames int) *compose.Object {
	o := compose.CT(hugeSide, hugeSide)
	o.SOPClass = multiFrameGrayscaleWord
	o.SetString(dicom.NewTag(0x0028, 0x0008), dicom.IS, strconv.Itoa(frames))
	o.Remove(dicom.TagPixelData)
	return o
}

// writeNative writes an object whose pixels are a hole in the file.
func writeNative(path string) error {
	o := multiFrame(largeFrames)
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, largeFrames*frameBytes) })
	file := o.File()
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, int64(len(file))+largeFrames*frameBytes)
}

// writeFragments writes an object with a JPEG image at the start of each fragment,
// and a hole behind it.
func writeFragments(path string) error {
	o := multiFrame(largeFragments)
	o.TransferSyntax = dicom.JPEGBaseline8Bit
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) {
		w.Header(dicom.TagPixelData, dicom.OB, 0xFFFFFFFF)
		w.Header(dicom.TagItem, 0, 0) // no offset table
	})
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	image := compose.JPEG(hugeSide, hugeSide)
	head := slices.Concat([]byte{0xFE, 0xFF, 0x00, 0xE0, 0, 0, frameBytes >> 16, 0}, image)
	at := int64(0)
	if _, err := f.Write(o.File()); err != nil {
		return err
	}
	if at, err = f.Seek(0, io.SeekCurrent); err != nil {
		return err
	}
	for range largeFragments {
		if _, err := f.WriteAt(head, at); err != nil {
			return err
		}
		at += 8 + frameBytes
	}
	_, err = f.WriteAt([]byte{0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0}, at)
	return errors.Join(err, f.Close())
}
