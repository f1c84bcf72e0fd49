"""Prints the three most probable relations between two entities of a sentence.

    python predict.py MODEL SENTENCE SUBJECT_BEGIN SUBJECT_END OBJECT_BEGIN OBJECT_END [SUBJECT_TYPE OBJECT_TYPE]

Offsets count code points, the end exclusive; types as in the training data, e.g. ORG PER.
"""

import sys

import kluere

if len(sys.argv) not in (7, 9):
    sys.exit(__doc__)
model_folder, sentence = sys.argv[1:3]
offsets = [int(argument) for argument in sys.argv[3:7]]
types = sys.argv[7:9] or [None, None]

# README-BEGIN
model = kluere.Model.open(model_folder)
example = kluere.Example(
    sentence,
    subject=kluere.Entity(offsets[0], offsets[1], types[0]),
    object=kluere.Entity(offsets[2], offsets[3], types[1]),
)
for relation, probability in model.best(example, top=3):
    print(f"{probability:.4f}  {relation}")
# README-END
