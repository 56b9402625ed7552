package inspect

import (
	"bytes"
	"testing"

	"cordon/inspect/compose"
)

func TestWalkEndsWithTheImage(t *testing.T) {
	image := compose.JPEG(40, 30)
	restart := bytes.Replace(image, []byte("\xFF\xD9"), []byte("\x12\xFF\xD3\x34\xFF\x00\x56\xFF\xD9"), 1)
	for name, c := range map[string]struct {
		bytes    []byte
		lossless bool
		rest     int // bytes after the image; -1: broken
	}{
		"image":                    {image, false, 0},
		"bytes after it":           {append(bytes.Clone(image), "\xFF\xD8MZ"...), false, 4},
		"restarts, stuffed bytes":  {restart, false, 0},
		"fill bytes, TEM":          {append([]byte("\xFF\xD8\xFF\xFF\xFF\x01\xFF\x01"), image[2:]...), false, 0},
		"a thumbnail in a segment": {append([]byte("\xFF\xD8\xFF\xE1\x00\x08\xFF\xD8\xFF\xD9xx"), image[2:]...), false, 0},
		"JPEG-LS, low after FF":    {bytes.Replace(image, []byte("\xFF\xD9"), []byte("\xFF\x7F\xFF\xD9"), 1), true, 0},
		"no image":                 {[]byte("MZ"), false, -1},
		"segment too short":        {[]byte("\xFF\xD8\xFF\xE0\x00\x01"), false, -1},
		"image in an image":        {[]byte("\xFF\xD8\xFF\xD8"), false, -1},
		"no marker":                {[]byte("\xFF\xD8\x00\x00"), false, -1},
	} {
		for _, cut := range []int{1, 3, 1 << 20} {
			w := jpegWalk{lossless: c.lossless}
			got, sized := 0, false
			for p := c.bytes; len(p) > 0; {
				n := min(cut, len(p))
				for chunk := p[:n]; len(chunk) > 0; {
					if w.state == afterImage {
						got += len(chunk)
						break
					}
					took, event := w.next(chunk)
					chunk = chunk[took:]
					switch event {
					case sizeKnown:
						sized = w.rows == 40 && w.columns == 30 && w.components == 1
					case brokenMarkers:
						got = -1
					}
				}
				p = p[n:]
			}
			if got != c.rest || sized != (c.rest >= 0) || (w.state == lost) != (c.rest < 0) {
				t.Errorf("%s, cut at %d: rest %d, want %d; size known %v; state %d", name, cut, got, c.rest, sized, w.state)
			}
		}
	}
}
