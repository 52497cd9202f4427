# SPDX-License-Identifier: MIT
"""Finding faces in single pictures, and following them from picture to picture."""
import os

from footage import Outcome, clean

FOLDERS = ["/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades",
           "/usr/share/OpenCV/haarcascades"]
FACE_CASCADE = "haarcascade_frontalface_alt2.xml"
EYE_CASCADE = "haarcascade_eye.xml"
SMALLEST_SHARE = 0.06       # of the picture's width
SMALLEST_PIXELS = 40        # below it the cascade sees faces in anything
EYE_PIXELS = 300            # the eye cascade finds nothing in small faces, so they are enlarged
LOST_AFTER_MS = 1000


def load_cv2():
    try:
        import cv2
    except ModuleNotFoundError:
        raise Outcome("skipped", "OpenCV for Python is not installed", "python3-opencv") from None
    except ImportError as error:    # it is there: too little memory, half an installation
        raise Outcome("failed", f"OpenCV for Python cannot be loaded: {clean(str(error).encode())}") from None
    cv2.setNumThreads(1)
    return cv2


def load_cascade(cv2, name):
    shipped = getattr(getattr(cv2, "data", None), "haarcascades", None)
    for folder in FOLDERS + ([shipped] if shipped else []):
        if os.path.exists(os.path.join(folder, name)):
            cascade = cv2.CascadeClassifier(os.path.join(folder, name))
            if not cascade.empty():
                return cascade
    raise Outcome("skipped", f"OpenCV's {name} is not installed", "opencv-data")


class Finder:
    def __init__(self, cv2):
        self.cv2 = cv2
        self.faces = load_cascade(cv2, FACE_CASCADE)
        self.eyes = load_cascade(cv2, EYE_CASCADE)

    def find(self, picture):
        """Boxes (x, y, width, height) in the picture's pixels."""
        smallest = max(SMALLEST_PIXELS, round(picture.shape[1] * SMALLEST_SHARE))
        found = self.faces.detectMultiScale(picture, scaleFactor=1.1, minNeighbors=4,
                                            minSize=(smallest, smallest))
        return [tuple(int(v) for v in box) for box in found]

    def sees_both_eyes(self, picture, box):
        """One eye in the left and one in the right half of the upper part of the face."""
        x, y, width, height = box
        upper = picture[y:y + height * 6 // 10, x:x + width]
        scale = EYE_PIXELS / width
        large = self.cv2.resize(upper, None, fx=scale, fy=scale, interpolation=self.cv2.INTER_LINEAR)
        found = self.eyes.detectMultiScale(large, scaleFactor=1.1, minNeighbors=4,
                                           minSize=(EYE_PIXELS // 8, EYE_PIXELS // 8))
        middles = [ex + ew / 2 for ex, _, ew, _ in found]
        return any(m < EYE_PIXELS / 2 for m in middles) and any(m > EYE_PIXELS / 2 for m in middles)


class Track:
    """One face over time: [(milliseconds, box)]."""

    def __init__(self, at_ms, box):
        self.seen = [(at_ms, box)]

    @property
    def last_ms(self):
        return self.seen[-1][0]

    @property
    def last_box(self):
        return self.seen[-1][1]

    def distance(self, box):
        """From the last box to this one, in widths of the face."""
        (x, y, width, height), (bx, by, bwidth, bheight) = self.last_box, box
        across = (bx + bwidth / 2) - (x + width / 2)
        down = (by + bheight / 2) - (y + height / 2)
        return (across * across + down * down) ** 0.5 / width

    def fits(self, at_ms, box, lost_after_ms):
        """A face moves by less than its width between two samples, and does not double in size."""
        near = self.distance(box) < 1.0 and 0.5 < box[2] / self.last_box[2] < 2.0
        return near and 0 < at_ms - self.last_ms <= lost_after_ms


class Tracker:
    """A box that jumps starts a track of its own, and a track that is seen too rarely was never a face."""

    def __init__(self, least_samples, interval_ms):
        self.least_samples = least_samples
        self.lost_after_ms = max(LOST_AFTER_MS, 2.5 * interval_ms)
        self.tracks = []

    def add(self, at_ms, boxes):
        for box in boxes:
            fitting = [t for t in self.tracks if t.fits(at_ms, box, self.lost_after_ms)]
            if fitting:
                min(fitting, key=lambda t: t.distance(box)).seen.append((at_ms, box))
            else:
                self.tracks.append(Track(at_ms, box))

    def faces(self):
        """Tracks that lasted, the one seen most often first."""
        lasting = [t for t in self.tracks if len(t.seen) >= self.least_samples]
        return sorted(lasting, key=lambda t: (-len(t.seen), t.seen[0][0]))

    def rejected(self):
        return sum(len(t.seen) for t in self.tracks if len(t.seen) < self.least_samples)
