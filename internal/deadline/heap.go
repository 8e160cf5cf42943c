package deadline

// heap is a binary heap of entries, the earliest first, that knows the place of
// each: container/heap would cost an interface call for every comparison.
type heap []*Entry

func (h *heap) push(e *Entry) {
	*h = append(*h, e)
	e.place = int32(len(*h))
	h.up(len(*h) - 1)
}

func (h *heap) remove(e *Entry) {
	i, last := int(e.place)-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	e.place, e.sleeper = 0, nil
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h heap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i+1), int32(j+1)
}

func (h heap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h heap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].at < h[child].at {
			child = right
		}
		if h[i].at <= h[child].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}
