import KluereTraining
import Testing

// Golden values: torch 2.13 with get_linear_schedule_with_warmup, get_cosine_schedule_with_warmup and
// get_constant_schedule_with_warmup of transformers 5.23, peak 5e-5: get_last_lr() before each optimizer step.
private let warmUp = [0, 1.6666666666666667e-05, 3.3333333333333335e-05]
private let golden: [(ScheduleKind, Int, [Double])] = [
  (
    .linear, 3,
    warmUp + [
      5e-05, 4.2857142857142856e-05, 3.571428571428572e-05, 2.857142857142857e-05, 2.1428571428571428e-05,
      1.4285714285714285e-05, 7.142857142857143e-06,
    ]
  ),
  (
    .linear, 0,
    [
      5e-05, 4.2857142857142856e-05, 3.571428571428572e-05, 2.857142857142857e-05, 2.1428571428571428e-05,
      1.4285714285714285e-05, 7.142857142857143e-06,
    ]
  ),
  (
    .cosine, 3,
    warmUp + [
      5e-05, 4.752422169756048e-05, 4.058724504646834e-05, 3.056302334890786e-05, 1.9436976651092144e-05,
      9.412754953531663e-06, 2.475778302439524e-06,
    ]
  ),
  (.constant, 3, warmUp + [5e-05, 5e-05, 5e-05, 5e-05]),
  (.constant, 0, [5e-05, 5e-05]),
  // Warm-up longer than the run: the peak is never reached.
  (.linear, 5, [0, 1e-05, 2e-05, 3e-05]),
  (.cosine, 5, [0, 1e-05, 2e-05, 3e-05]),
]

@Test(arguments: golden.indices)
func `learning rates are those of transformers' schedules`(_ number: Int) {
  let (kind, warmup, rates) = golden[number]
  let schedule = Schedule(kind: kind, peak: 5e-5, warmupSteps: warmup, totalSteps: rates.count)
  for (step, rate) in rates.enumerated() {
    #expect(abs(schedule.rate(step) - rate) <= 1e-19, "update \(step)")
  }
}
