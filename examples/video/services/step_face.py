# SPDX-License-Identifier: MIT
"""The face step: where faces are, when, and whether both eyes can be seen."""
from faces import Finder, Tracker, load_cv2
from footage import Footage, Progress

RATE = 5.0              # pictures a second
MOST_SAMPLES = 1000     # a box takes about 110 bytes, and all of them must fit into a result
MOST_FACES = 5
MOST_WIDTH = 640
LEAST_SAMPLES = 3       # a face is seen at least so often

WHAT = ("upright faces that look about forwards, found picture by picture by OpenCV's Haar cascade and followed; "
        "faces turned away, half hidden or narrower than a sixteenth of the picture are missed; eyes_visible "
        "means that both eyes were found, not where they look; nobody is identified")


def _box(box, scale, footage):
    x, y, width, height = (value * scale for value in box)
    return {"x": round(x), "y": round(y), "width": round(width), "height": round(height),
            "relative": [round(x / footage.width, 4), round(y / footage.height, 4),
                         round(width / footage.width, 4), round(height / footage.height, 4)]}


def _face(track, eyes, samples, scale, footage):
    seen = [at_ms for at_ms, _ in track.seen]
    both = sum(1 for entry in track.seen if entry in eyes)
    return {"first_ms": seen[0], "last_ms": seen[-1], "samples": len(seen),
            "seen_share": round(len(seen) / samples, 3), "eyes_visible_share": round(both / len(seen), 3),
            "boxes": [{"at_ms": at_ms, **_box(box, scale, footage)} for at_ms, box in track.seen]}


def run(path):
    cv2 = load_cv2()
    finder = Finder(cv2)
    footage = Footage(path)
    progress = Progress()
    rate = footage.sampling(RATE, MOST_SAMPLES)
    size = footage.scaled(MOST_WIDTH)
    promised = round(footage.duration_s * rate)
    tracker, eyes, samples = Tracker(LEAST_SAMPLES, 1000 / rate), set(), 0
    for at_ms, picture in footage.grey(rate, size):
        boxes = finder.find(picture)
        tracker.add(at_ms, boxes)
        eyes.update((at_ms, box) for box in boxes if finder.sees_both_eyes(picture, box))
        samples += 1
        progress.tell(samples, promised)
    progress.tell(samples, samples, last=True)
    faces = tracker.faces()
    with_face = len({at_ms for track in faces for at_ms, _ in track.seen})
    scale = footage.width / size[0]
    return {"picture": {"width": footage.width, "height": footage.height},
            "samples": samples, "samples_per_second": round(rate, 3),
            "face_share": round(with_face / samples, 3),
            "faces": [_face(track, eyes, samples, scale, footage) for track in faces[:MOST_FACES]],
            "faces_left_out": max(0, len(faces) - MOST_FACES), "rejected_boxes": tracker.rejected(),
            "what_this_measures": WHAT}
