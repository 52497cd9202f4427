# SPDX-License-Identifier: MIT
"""The gesture step: how much moves beside the face, on which side, and when. Not: which gesture it is."""
from faces import Finder, Tracker, load_cv2
from footage import Footage, Progress

RATE = 8.0
MOST_S = 600            # of a longer film only so much is looked at, and the result says so
FACE_WIDTH = 480        # pictures in which the face is looked for
FACE_EVERY = 4          # samples between two looks
FLOW_WIDTH = 160        # pictures in which movement is measured
SPEED = 0.02            # of the width of the picture a second: what is slower is noise
ACTIVE = 0.05           # share of a side's area that moves, from which on the side is active
CLEARLY = 2.0           # one side has so much more than the other when it is named alone
GAP_MS = 400            # shorter rests do not end a movement
MOST_MOVEMENTS = 1000

WHAT = ("which share of the area beside the face moves for itself (reference: face), or of each half of the "
        "picture when no face is found (reference: picture), at a fiftieth of the picture's width a second or "
        "faster; movement that the camera or the head explains does not count; left and right are sides of the "
        "picture, not of the person; which gesture it was is not told")


class Meter:
    """Flow from one small picture to the next, without what camera and head explain."""

    def __init__(self, cv2):
        import numpy
        self.cv2, self.numpy, self.before = cv2, numpy, None

    def measure(self, small, face):
        """Returns per pixel how far it moved for itself, or None for the first picture."""
        before, self.before = self.before, small
        if before is None:
            return None
        flow = self.cv2.calcOpticalFlowFarneback(before, small, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        still, camera = self.numpy.zeros(2, self.numpy.float32), self._middle(flow)
        own = self._beside(flow, still, camera)
        if face:
            x, y, width, height = face
            head = self._middle(flow[y:y + height, x:x + width])
            for other in (still, camera):
                own = self.numpy.minimum(own, self._beside(flow, other, head))
        return own

    def _middle(self, flow):
        if flow.size == 0:
            return self.numpy.zeros(2, self.numpy.float32)
        return self.numpy.median(flow.reshape(-1, 2), axis=0)

    def _beside(self, flow, start, end):
        """Distance of each movement from the line between two that are explained: even walls give the flow
        nothing to hold on to, so that they seem to follow the camera by half."""
        along = end - start
        length = float(along @ along)
        part = self.numpy.clip(((flow - start) @ along) / length, 0.0, 1.0)[..., None] if length > 0 else 0.0
        rest = flow - start - part * along
        return self.numpy.hypot(rest[..., 0], rest[..., 1])


def _zones(face, width, height):
    """The areas left and right of the face, from above it to the waist; without a face, the halves."""
    if not face:
        half = width // 2
        return (slice(0, height), slice(0, half)), (slice(0, height), slice(width - half, width))
    x, y, face_width, face_height = face
    rows = slice(max(0, y - face_height // 2), min(height, y + face_height * 4))
    reach = round(face_width * 2.5)
    left = slice(max(0, x - reach), max(0, x))
    right = slice(min(width, x + face_width), min(width, x + face_width + reach))
    return (rows, left), (rows, right)


def _share(own, zone, rate):
    area = own[zone]
    return float((area * rate > SPEED * own.shape[1]).mean()) if area.size else 0.0


def _side(left, right):
    if max(left, right) < ACTIVE:
        return "none"
    if left >= CLEARLY * right:
        return "left"
    return "right" if right >= CLEARLY * left else "both"


def _means(samples):
    return tuple(sum(s[i] for s in samples) / len(samples) if samples else 0.0 for i in (1, 2))


def _is_active(sample):
    return max(sample[1], sample[2]) >= ACTIVE


def _movements(samples, step_ms):
    """Stretches in which a side is active: [{"start_ms", "end_ms", "side", "left", "right"}]."""
    runs = []
    for sample in filter(_is_active, samples):
        if not runs or sample[0] - runs[-1][-1][0] > GAP_MS:
            runs.append([])
        runs[-1].append(sample)
    told = []
    for run in runs[:MOST_MOVEMENTS]:
        left, right = _means(run)
        told.append({"start_ms": max(0, round(run[0][0] - step_ms)), "end_ms": run[-1][0],
                     "side": _side(left, right), "left": round(left, 3), "right": round(right, 3)})
    return told


def _watch(cv2, footage, rate, progress):
    """One pass over the film: the small pictures, [(milliseconds, picture)], and the face, a Track or None."""
    finder, tracker, looks, small = Finder(cv2), Tracker(2, FACE_EVERY * 1000 / rate), 0, []
    size, flow_size = footage.scaled(FACE_WIDTH), footage.scaled(FLOW_WIDTH)
    promised = round(min(footage.duration_s, MOST_S) * rate)
    for count, (at_ms, picture) in enumerate(footage.grey(rate, size)):
        if at_ms >= MOST_S * 1000:
            break
        if count % FACE_EVERY == 0:
            looks += 1
            tracker.add(at_ms, finder.find(picture))
        small.append((at_ms, cv2.resize(picture, flow_size, interpolation=cv2.INTER_AREA)))
        progress.tell(len(small), promised)
    progress.tell(len(small), len(small), last=True)
    face = next(iter(tracker.faces()), None)
    return small, face if face and len(face.seen) * 2 >= looks else None


def _box_at(face, at_ms, scale):
    """Where the face was, in a small picture's pixels: as it was seen nearest in time."""
    if face is None:
        return None
    box = min(face.seen, key=lambda seen: abs(seen[0] - at_ms))[1]
    return tuple(round(value * scale) for value in box)


def run(path):
    cv2 = load_cv2()
    footage = Footage(path)
    rate = min(RATE, footage.rate)
    small, face = _watch(cv2, footage, rate, Progress())
    scale = footage.scaled(FLOW_WIDTH)[0] / footage.scaled(FACE_WIDTH)[0]
    meter, samples = Meter(cv2), []
    for at_ms, picture in small:
        box = _box_at(face, at_ms, scale)
        own = meter.measure(picture, box)
        if own is not None:
            left, right = _zones(box, picture.shape[1], picture.shape[0])
            samples.append((at_ms, _share(own, left, rate), _share(own, right, rate)))
    return _report(rate, face is not None, samples, small[-1][0])


def _report(rate, by_face, samples, last_ms):
    active = [s for s in samples if _is_active(s)]
    left, right = _means(samples)
    return {"reference": "face" if by_face else "picture", "samples": len(samples),
            "looked_until_ms": last_ms, "samples_per_second": round(rate, 3),
            "left": round(left, 3), "right": round(right, 3), "side": _side(*_means(active)),
            "active_share": round(len(active) / len(samples), 3) if samples else 0.0,
            "movements": _movements(samples, 1000 / rate), "what_this_measures": WHAT}
