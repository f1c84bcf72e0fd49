#!/usr/bin/env bash
# Asks a model for the relation in one sentence from C and from Python; fails unless both give the same probabilities.
#   same_answer.sh MODEL [SENTENCE SUBJECT SUBJECT_TYPE OBJECT OBJECT_TYPE]
# Needs samples/c/predict, and KLUERE_LIBRARY or a built library for Python. DEVICE: cpu (default), auto, cuda or cuda:N.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
model=$1
sentence=${2:-별하늘은 솔뜰마루시에서 태어났다.}
subject=${3:-별하늘}
subject_type=${4:-PER}
object=${5:-솔뜰마루시}
object_type=${6:-LOC}

# Begin and end in code points, as the C sample counts.
span() {
  "$python" -c 'import sys; b = sys.argv[1].index(sys.argv[2]); print(b, b + len(sys.argv[2]))' "$sentence" "$1"
}
read -r subject_begin subject_end <<< "$(span "$subject")"
read -r object_begin object_end <<< "$(span "$object")"

# The header's number of the device.
case ${DEVICE:-cpu} in
  cpu) number=0 ;;
  auto) number=-1 ;;
  cuda) number=1 ;;
  cuda:*) number=$((${DEVICE#cuda:} + 1)) ;;
  *)
    echo "DEVICE is $DEVICE, expected cpu, auto, cuda or cuda:N" >&2
    exit 2
    ;;
esac

echo "$sentence  ($subject, $object)"
from_c=$(KLUERE_DEVICE=$number "$here/c/predict" "$model" "$sentence" "$subject_begin" "$subject_end" "$object_begin" \
  "$object_end" "$subject_type" "$object_type")
from_python=$(PYTHONPATH="$here/../bindings/python${PYTHONPATH:+:$PYTHONPATH}" "$python" -m kluere predict "$model" \
  --text "$sentence" --subject "$subject_begin:$subject_end" --subject-type "$subject_type" \
  --object "$object_begin:$object_end" --object-type "$object_type" \
  --device "${DEVICE:-cpu}" --precision float32)
echo "from C:"
sed 's/^/  /' <<< "$from_c"
echo "from Python:"
sed 's/^/  /' <<< "$from_python"
if [ -z "$from_c" ] || [ "$from_c" != "$from_python" ]; then
  echo "C and Python differ" >&2
  exit 1
fi
echo "the same probabilities"
