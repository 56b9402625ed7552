package dicom

// Limits bound what a decoder follows. A zero field means its default. What lies beyond a
// limit is not dropped: it passes the visitor as one unparsed piece.
type Limits struct {
	// Depth is how many sequences may enclose an element. Default 64.
	Depth int
	// Elements is how many elements a data set may have at all levels together,
	// sequences, items and fragments included. Default 10,000,000.
	Elements int64
	// Items is how many items and fragments one sequence or Pixel Data may have. Default 1,000,000.
	Items int
	// ValueLength is the longest declared length of a value or fragment, in bytes.
	// Default 4 GiB - 2, the longest there is: values are streamed, so memory does not depend on it.
	ValueLength uint32
	// ItemLength is the longest declared length of a sequence or item, in bytes. Default 4 GiB - 2.
	ItemLength uint32
	// InflateBytes is how many bytes a deflated data set may inflate to. Default 4 GiB.
	InflateBytes int64
	// InflateRatio is how many times longer than its deflated form a data set may be, counted
	// once it is longer than InflateFree. Default 200; deflate's own limit is 1032.
	InflateRatio int64
	// InflateFree is how many bytes a data set may inflate to whatever the ratio, since
	// masks and blank frames deflate to almost nothing. Default 64 MiB.
	InflateFree int64
}

// maxLength is the longest length that can be declared; the next even one is [UndefinedLength] + 1.
const maxLength = 0xFFFFFFFE

// withDefaults is l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	set(&l.Depth, 64)
	set(&l.Elements, 10_000_000)
	set(&l.Items, 1_000_000)
	set(&l.ValueLength, maxLength)
	set(&l.ItemLength, maxLength)
	set(&l.InflateBytes, 4<<30)
	set(&l.InflateRatio, 200)
	set(&l.InflateFree, 64<<20)
	return l
}

func set[T int | int64 | uint32](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
