package inspect

import "bytes"

// jpegWalk walks the markers of a JPEG or JPEG-LS image (ISO 10918-1 annex B, ISO
// 14495-1 annex C), given in chunks of any size. It decodes nothing, and passes
// every byte once, so that no marker can make it loop.
type jpegWalk struct {
	state    walkState
	lossless bool // JPEG-LS: a marker's second byte is 80H or more

	marker                    byte
	length                    int // of the segment, first byte; then bytes of it left
	frame                     [6]byte
	n                         int // bytes in frame
	rows, columns, components int64
}

type walkState uint8

const (
	beforeImage walkState = iota // FF of SOI
	inStart                      // D8 of SOI
	beforeMarker
	inMarker
	inLength
	inLength2
	inSegment
	inScan
	inScanFF
	afterImage
	lost
)

// walkEvent is why next stopped before the end of its input, if it did.
type walkEvent uint8

const (
	walking       walkEvent = iota
	sizeKnown               // rows, columns, components are set
	imageEnded              // what follows is no part of the image
	brokenMarkers           // the walk gives up until another image starts
)

const startOfImage = "\xFF\xD8"

// Markers.
const (
	markerTEM = 0x01
	markerRST = 0xD0 // to D7
	markerSOI = 0xD8
	markerEOI = 0xD9
	markerSOS = 0xDA
	markerLS  = 0xF7 // SOF55
)

// next consumes p up to an event, and returns how many bytes it took.
func (w *jpegWalk) next(p []byte) (int, walkEvent) {
	for i := 0; i < len(p); {
		switch w.state {
		case inScan:
			j := bytes.IndexByte(p[i:], 0xFF)
			if j < 0 {
				return len(p), walking
			}
			i += j + 1
			w.state = inScanFF
		case inSegment:
			n := min(w.length, len(p)-i)
			if w.n < len(w.frame) {
				w.n += copy(w.frame[w.n:], p[i:i+n])
			}
			w.length -= n
			i += n
			if w.length == 0 {
				if w.endSegment() {
					return i, sizeKnown
				}
			}
		case lost, afterImage:
			return len(p), walking
		default:
			c := p[i]
			i++
			if event := w.byte(c); event != walking {
				return i, event
			}
		}
	}
	return len(p), walking
}

// byte takes one byte of a marker or of a segment's length.
func (w *jpegWalk) byte(c byte) walkEvent {
	switch w.state {
	case beforeImage, beforeMarker:
		if c != 0xFF {
			return w.giveUp()
		}
		w.state++
	case inStart:
		if c != markerSOI {
			return w.giveUp()
		}
		w.state = beforeMarker
	case inMarker:
		return w.mark(c)
	case inScanFF:
		switch {
		case c == 0xFF:
		case c == 0, c >= markerRST && c < markerSOI, w.lossless && c < 0x80:
			w.state = inScan
		default:
			return w.mark(c)
		}
	case inLength:
		w.length = int(c) << 8
		w.state = inLength2
	case inLength2:
		w.length |= int(c)
		if w.length < 2 {
			return w.giveUp()
		}
		w.length -= 2
		w.n = 0
		w.state = inSegment
		if w.length == 0 {
			w.endSegment()
		}
	}
	return walking
}

// mark takes the second byte of a marker.
func (w *jpegWalk) mark(c byte) walkEvent {
	w.marker = c
	switch {
	case c == 0xFF: // fill
		w.state = inMarker
	case c == markerEOI:
		w.state = afterImage
		return imageEnded
	case c == 0, c == markerSOI:
		return w.giveUp()
	case c == markerTEM, c >= markerRST && c < markerSOI: // stand alone
		w.state = beforeMarker
	default:
		w.state = inLength
	}
	return walking
}

// endSegment ends a segment, and reports whether it gave the image's size.
func (w *jpegWalk) endSegment() bool {
	w.state = beforeMarker
	if w.marker == markerSOS {
		w.state = inScan
	}
	if !startOfFrame(w.marker) || w.n < len(w.frame) {
		return false
	}
	w.rows = int64(w.frame[1])<<8 | int64(w.frame[2])
	w.columns = int64(w.frame[3])<<8 | int64(w.frame[4])
	w.components = int64(w.frame[5])
	return true
}

// startOfFrame: SOF0 to SOF15 without DHT, JPG and DAC, and that of JPEG-LS.
func startOfFrame(marker byte) bool {
	return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC || marker == markerLS
}

func (w *jpegWalk) giveUp() walkEvent {
	w.state = lost
	return brokenMarkers
}
