package turn

// list is a doubly linked list through the tickets themselves.
type list[H any] struct {
	head, tail *Ticket[H]
}

func (l *list[H]) empty() bool { return l.head == nil }

func (l *list[H]) push(t *Ticket[H]) {
	t.prev, t.next = l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
}

func (l *list[H]) remove(t *Ticket[H]) {
	if t.prev == nil {
		l.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// append adds the holders of the list to holders.
func (l *list[H]) append(holders []H) []H {
	for t := l.head; t != nil; t = t.next {
		holders = append(holders, t.Holder)
	}
	return holders
}
